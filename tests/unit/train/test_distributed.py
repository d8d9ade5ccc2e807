"""The same recipe by itself and under torchrun with DDP and FSDP: equal at equal global batch.

In float32 two processes add gradients in another order than one does, and AdamW divides that
rounding by the gradient's own size: a gradient of nothing but rounding would move a weight by the
whole rate, so the recipe's epsilon is 1e-5. Tolerances: 1e-6 for losses and norms, relative; 2e-5
for weights, absolute, after six steps at a rate of 0.01.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from attention_guide.train import World, distributed

RECIPE = Path(__file__).with_name("distributed_recipe.py")


def load_recipe():
    spec = importlib.util.spec_from_file_location("distributed_recipe", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    recipe = load_recipe()
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    recipe.main(one, ["ddp"])
    start = one / "ddp" / "step-00000003.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node=2", str(RECIPE), str(two), str(start), "ddp", "fsdp"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return one, two, torch.load(one / "results.pt"), torch.load(two / "results.pt")


def assert_equal_runs(run, other):
    assert run["loss"] == pytest.approx(other["loss"], rel=1e-6)
    assert run["evaluations"] == pytest.approx(other["evaluations"], rel=1e-6)
    assert run["norm"] == pytest.approx(other["norm"], rel=1e-6)
    for name, tensor in run["weights"].items():
        torch.testing.assert_close(tensor, other["weights"][name], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["ddp", "fsdp", "ddp resumed", "fsdp resumed"])
def test_two_processes_equal_one_at_equal_global_batch(runs, name):
    _, _, one, two = runs
    assert (one["size"], two["size"]) == (1, 2)
    assert_equal_runs(two[name], one["ddp"])


def test_the_models_were_really_wrapped(runs):
    _, _, one, two = runs
    assert (one["ddp"]["type"], one["ddp"]["sharded"]) == ("Transformer", 0)
    assert two["ddp"]["type"] == "DistributedDataParallel"
    assert two["fsdp"]["sharded"] == two["fsdp"]["parameters"] == one["ddp"]["parameters"]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_one_process_goes_on_from_a_checkpoint_of_two(runs, strategy):
    _, two_folder, one, _ = runs
    start = two_folder / strategy / "step-00000003.pt"
    recipe = load_recipe()
    assert_equal_runs(recipe.train(World(), "ddp", two_folder / "again", start), one["ddp"])


def test_a_world_of_one_changes_nothing():
    model, batches = nn.Linear(1, 1), [torch.ones(3, 1)]
    with World.start() as world:
        assert world.size == 1
        assert world.wrap(model) is model
        assert torch.equal(next(iter(world.share(batches))).cpu(), batches[0])
    with pytest.raises(ValueError, match="strategy: expected 'ddp' or 'fsdp', got 'tensor'"):
        world.wrap(model, "tensor")


def test_parts_together_are_the_batch():
    batch = {"x": torch.arange(10).reshape(5, 2), "y": (torch.arange(5), "name")}
    worlds = [World(rank=r, size=2) for r in range(2)]
    parts = [next(iter(world.share([batch]))) for world in worlds]
    assert torch.equal(torch.cat([part["x"] for part in parts]), batch["x"])
    assert torch.equal(torch.cat([part["y"][0] for part in parts]), batch["y"][0])
    assert [len(part["x"]) for part in parts] == [3, 2]
    assert parts[0]["y"][1] == "name"
    with pytest.raises(ValueError, match="expected a row for each of 2 processes, got 1"):
        next(iter(worlds[0].share([torch.ones(1, 2)])))


def test_whole_leaves_plain_values_alone():
    value = {"a": [torch.ones(2), 3], "b": {"c": "d"}}
    assert distributed.whole(value)["b"] == {"c": "d"}
    assert distributed.whole(value)["a"][0] is value["a"][0]


def test_only_outermost_blocks_are_gathered_by_themselves():
    expert = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    block = nn.ModuleDict({"experts": expert, "norm": nn.LayerNorm(2)})
    model = nn.ModuleDict({"layers": nn.ModuleList([block, nn.Dropout()]), "head": nn.Linear(2, 2)})
    assert list(distributed._blocks(model)) == [block]
