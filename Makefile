# Every target sets itself up. Without make, see README.md: the same steps as plain commands.
PYTHON ?= python3
RUN = .venv/bin/python
.PHONY: setup serve test site pdf notebooks update lint bench chapter clean

setup:      ## the environment in .venv/ (torch's CPU build, everything else)
	@$(PYTHON) book/setup.py

serve: setup    ## the book on localhost:8000, with live reload
	@$(RUN) -m book serve
test:       ## every test, the browser's included
	@$(PYTHON) book/setup.py --test
	@$(RUN) -m pytest -n auto --no-loadscope-reorder $(ARGS)
site: setup     ## site/ and dist/attention-guide-offline.zip
	@$(RUN) -m book site
pdf:        ## dist/the-attention-guide.pdf
	@$(PYTHON) book/setup.py --pdf
	@$(RUN) -m book pdf
notebooks: site ## notebooks and scripts of the chapters, under site/downloads/
	@echo "notebooks: site/downloads/"
update: setup   ## rewrite the outputs on the pages from the run
	@$(RUN) -m book update $(PAGES)
lint: setup     ## format, types, spelling, workflows
	@$(RUN) -m book lint
bench: setup    ## measurements, side by side with peers
	@$(RUN) -m benchmarks
chapter: setup  ## a new chapter from the template: make chapter SLUG=theory/positions NUMBER=7
	@$(RUN) -m book chapter $(SLUG) $(NUMBER)
clean:
	rm -rf site dist .cache
