"""The promises that the architecture makes about imports."""

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_imports_go_down_only():
    """Every contract in pyproject.toml holds: the layers, the kernels' independence, the loop's ignorance."""
    assert lint_imports(config_filename=str(PYPROJECT), no_cache=True, no_logo=True) == 0


@pytest.mark.parametrize("package", ["torch", "plotly", "sklearn", "pyarrow", "rich", "numba"])
def test_importing_fallline_loads_nothing_heavy(package):
    """`import fallline` stays quick: what is heavy loads when it is first used."""
    code = f"import sys, fallline; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_commands_do_without_pandas(tmp_path):
    """Arrow would import it as soon as it sees a value of Python's; a command says that there is none before it does."""
    table = "a,b,when\n" + "".join(f"{i},{i % 7},{i % 12 + 1}/1/20\n" for i in range(200))
    tmp_path.joinpath("table.csv").write_text(table)
    code = (
        "import sys; from fallline.cli import main; "
        "sys.argv[1:] = 'train table.csv --target a --no-cache --epochs 2 -o model'.split(); "
        "sys.exit(main() or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0
