"""Solutions and quiz answers, taken from their folds to the end of the book, linked both ways."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lxml import html
from lxml.html import HtmlElement

from book.pdf.article import Page, of_class, remove, replace, text_of

_HEADINGS = ("h2", "h3", "h4", "h5")


@dataclass
class Gathered:
    """What one chapter's folds held."""

    page: Page
    solutions: list[HtmlElement] = field(default_factory=list)
    answers: list[HtmlElement] = field(default_factory=list)


def gather(page: Page) -> Gathered:
    """Take solutions and quiz answers out of a page; each leaves a link in its place."""
    found = Gathered(page)
    for number, fold in enumerate(_folds(page, "solution"), start=1):
        found.solutions.append(_solution(page, fold, number))
    for number, choices in enumerate(_questions(page), start=1):
        found.answers.append(_answer(page, choices, number))
    return found


def section(chapters: list[Gathered]) -> HtmlElement | None:
    """The chapter of solutions, or None where no page has any."""
    holding = [c for c in chapters if c.solutions or c.answers]
    if not holding:
        return None
    whole = html.Element("section", {"class": "chapter solutions", "id": "solutions"})
    whole.append(_heading("h1", "Solutions"))
    for chapter in holding:
        number = f"{chapter.page.chapter}. " if chapter.page.chapter is not None else ""
        part = html.Element("section", {"id": f"solutions-{chapter.page.name}"})
        part.append(_heading("h2", f"{number}{chapter.page.title}"))
        part.extend(chapter.solutions)
        if chapter.answers:
            part.append(_heading("h3", "Answers to the quiz"))
            part.extend(chapter.answers)
        whole.append(part)
    return whole


def _folds(page: Page, name: str) -> list[HtmlElement]:
    return [e for e in of_class(page.article, name) if e.tag == "details"]


def _summary(fold: HtmlElement) -> str:
    summary = fold.find("summary")
    if summary is None:
        raise ValueError("a fold without a title")
    title = text_of(summary)
    remove(summary)
    return title


def _solution(page: Page, fold: HtmlElement, number: int) -> HtmlElement:
    title = _summary(fold)
    exercise = _heading_before(page, fold)
    if exercise is None or not exercise.get("id"):
        raise ValueError(f"{title} follows no exercise with an anchor")
    name = f"{page.name}--solution-{number}"
    _leave_link(fold, name, title, "solution-link")
    fold.tag = "div"
    fold.set("class", "solution-body")
    moved = html.Element("section", {"class": "solution", "id": name})
    moved.append(_heading("h3", title))
    label = exercise.get("data-label") or text_of(exercise)
    moved.append(_back(f"#{exercise.get('id')}", label))
    moved.append(fold)
    return moved


def _questions(page: Page) -> list[list[HtmlElement]]:
    """Runs of folds that stand next to each other: the choices of one question each."""
    runs: list[list[HtmlElement]] = []
    for fold in _folds(page, "quiz"):
        if runs and fold.getprevious() is runs[-1][-1]:
            runs[-1].append(fold)
        else:
            runs.append([fold])
    return runs


def _answer(page: Page, choices: list[HtmlElement], number: int) -> HtmlElement:
    name, here = f"{page.name}--answer-{number}", f"{page.name}--question-{number}"
    question = choices[0].getprevious()
    if question is None or question.tag != "p":
        raise ValueError(f"the choices of quiz question {number} follow no question")
    question.set("id", here)
    asked = re.sub(r"^\d+\.\s+", "", text_of(question))  # some chapters number their questions
    moved = html.Element("section", {"class": "answer", "id": name})
    moved.append(_back(f"#{here}", f"Question {number}: {asked}"))
    listing = html.Element("ul", {"class": "choices"})
    choices[0].addprevious(listing)
    question.set("class", f"{question.get('class') or ''} lead-in".strip())
    for fold in choices:
        title = fold.find("summary")
        if title is None:
            raise ValueError(f"a choice of quiz question {number} without a text")
        choice = html.Element("li")
        choice.text = title.text
        for child in title:
            choice.append(html.fromstring(html.tostring(child, encoding="unicode")))
        listing.append(choice)
        title.tag = "p"
        title.set("class", "choice")
        fold.tag = "div"
        fold.set("class", "choice-body")
    link = html.Element("p", {"class": "solution-link"})
    link.append(_link(f"#{name}", f"Answer to question {number}"))
    listing.addnext(link)
    for fold in choices:
        fold.tail = None
        moved.append(fold)
    return moved


def _leave_link(fold: HtmlElement, name: str, title: str, kind: str) -> None:
    paragraph = html.Element("p", {"class": kind})
    paragraph.append(_link(f"#{name}", title))
    replace(fold, paragraph)
    fold.tail = None


def _link(href: str, text: str) -> HtmlElement:
    link = html.Element("a", {"href": href, "class": "elsewhere"})
    link.text = text
    return link


def _back(href: str, text: str) -> HtmlElement:
    paragraph = html.Element("p", {"class": "back"})
    paragraph.append(_link(href, text))
    return paragraph


def _heading(tag: str, text: str) -> HtmlElement:
    heading = html.Element(tag, {"data-label": text})
    heading.text = text
    return heading


def _heading_before(page: Page, element: HtmlElement) -> HtmlElement | None:
    last = None
    for candidate in page.article.iter():
        if candidate is element:
            return last
        if candidate.tag in _HEADINGS:
            last = candidate
    return None
