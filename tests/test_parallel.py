"""Training in several processes: they take the same steps, and the first writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from talking_face.training.fit import parallel

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import torch
from talking_face.training.fit import parallel

parallel.start()
torch.manual_seed(0)
network = torch.nn.Linear(3, 1)
optimiser = torch.optim.SGD(network.parameters(), 0.1)
draws = parallel.generator(7)
mine = torch.from_numpy(draws.standard_normal((5, 3))).float().to(parallel.device())
network.to(parallel.device())(mine).square().mean().backward()
own = network.weight.grad.clone()
parallel.average_gradients(network.parameters())
optimiser.step()
name = f"{'first' if parallel.is_first() else 'other'}.npz"
parts = {"batch": mine, "own": own, "mean": network.weight.grad, "weight": network.weight}
arrays = {key: value.detach().cpu().numpy() for key, value in parts.items()}
np.savez(Path(sys.argv[1]) / name, **arrays)
parallel.wait()
parallel.stop()
"""


@pytest.mark.slow
def test_processes_share_their_gradients(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, other = (dict(np.load(tmp_path / f"{name}.npz")) for name in ("first", "other"))
    assert np.abs(first["batch"] - other["batch"]).max() > 0.1
    mean = (first["own"] + other["own"]) / 2
    for process in (first, other):
        np.testing.assert_allclose(process["mean"], mean, rtol=1e-5)
        np.testing.assert_array_equal(process["weight"], first["weight"])


def test_a_single_process_is_the_first_and_keeps_its_gradients() -> None:
    parallel.start()
    assert parallel.is_first()
    parameter = torch.nn.Parameter(torch.ones(2))
    (3 * parameter).sum().backward()
    parallel.average_gradients([parameter])
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [3, 3]
    expected = np.random.default_rng(5).random(3)
    np.testing.assert_array_equal(parallel.generator(5).random(3), expected)
    parallel.wait()
    parallel.stop()
