from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import run
from throughtime.cli import main

TINY = [
    "--hidden-size",
    "16",
    "--batch-size",
    "4",
    "--bptt",
    "16",
    "--steps",
    "4",
    "--precision",
    "32",
    "--quiet",
]


def test_help_does_not_wait_for_torch() -> None:
    program = (
        "import sys; from throughtime.cli import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
    )
    begun = time.monotonic()
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("False\n")
    assert "Language models" in result.stdout
    assert time.monotonic() - begun < 10


def test_train_evaluate_generate(rhyme: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(tmp_path / "model")
    code, out, _ = run(capsys, "lm", "train", str(rhyme), "-o", model, *TINY)
    assert code == 0
    assert "unigram" in out
    assert "throughtime lm generate" in out

    code, out, _ = run(capsys, "lm", "evaluate", model, str(rhyme), "--json")
    result = json.loads(out)
    assert code == 0
    assert result["text"]["characters"] == len(rhyme.read_text(encoding="utf-8"))
    assert [row["model"] for row in result["rows"]] == ["LSTM 1 x 16", "unigram", "7-gram, Kneser-Ney"]

    texts = [
        run(capsys, "lm", "generate", model, "--prompt", "green", "--length", "12", "--seed", "4")[1] for _ in range(2)
    ]
    assert texts[0] == texts[1]
    assert texts[0].startswith("green")
    assert len(texts[0]) == len("green") + 12 + 1
    code, out, _ = run(capsys, "lm", "generate", model, "--length", "3", "--samples", "2", "--json")
    assert [len(text) for text in json.loads(out)] == [3, 3]


def test_json_and_sample_need_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "lm", "train", "--sample", "-o", str(tmp_path / "model"), *TINY, "--json")
    assert code == 0
    assert err == ""
    assert json.loads(out)["steps"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lm", "train", "TEXT"], "--output"),
        (["lm", "train", "-o", "OUT"], "there is no text to learn from; give a text file, or --sample"),
        (["lm", "train", "missing.txt", "-o", "OUT"], "missing.txt: there is no such file"),
        (["lm", "train", "EMPTY", "-o", "OUT"], "empty.txt: is empty; give a file with text in it"),
        (
            ["lm", "train", "LATIN", "-o", "OUT"],
            "latin.txt, byte 3: not utf-8 text (line 1, byte value 0xe9)",
        ),
        (["lm", "train", "FOLDER", "-o", "OUT"], "this folder has no text files"),
        (["lm", "train", "TEXT", "-o", "FOLDER"], "is not empty; give a folder that is empty"),
        (["lm", "train", "TEXT", "-o", "OUT", "--hiden-size", "3"], "--hidden-size"),
        (
            ["lm", "train", "TEXT", "-o", "OUT", "--dropout", "1.5"],
            "`dropout` must be less than 1, got '1.5'",
        ),
        (["lm", "train", "TEXT", "-o", "OUT", "--cell", "lstn"], "did you mean 'lstm'?"),
        (["lm", "train", "-o", "OUT", "--resume"], "holds no run to resume; give a text file, or --sample"),
        (
            ["lm", "train", "TEXT", "-o", "OUT", "--batch-size", "9999", "--quiet"],
            "`batch_size` may be at most",
        ),
        (["lm", "train", "TEXT", "--sample", "-o", "OUT"], "give data or --sample, not both"),
        (["lm", "evaluate", "FOLDER"], "has no config.json"),
        (["lm", "generate", "nowhere"], "nowhere: there is no such folder"),
        (["reproduce", "ptb-smal"], "did you mean 'ptb-small'?"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_input_is_one_sentence(
    rhyme: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "latin.txt").write_bytes("caf\xe9 au lait".encode("latin-1") * 100)
    places = {
        "TEXT": rhyme,
        "OUT": tmp_path / "out",
        "FOLDER": folder,
        "EMPTY": tmp_path / "empty.txt",
        "LATIN": tmp_path / "latin.txt",
    }
    code, out, err = run(capsys, *(str(places.get(argument, argument)) for argument in arguments))
    assert code != 0
    assert out == ""
    assert err.startswith("throughtime: ")
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exception, match="there is no such folder"):
        main(["lm", "generate", "nowhere", "--debug"])


def test_an_interrupt_saves_evaluates_and_says_how_to_go_on(rhyme: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    command = [sys.executable, "-m", "throughtime", "lm", "train", str(rhyme), "-o", str(folder), "--validations", "1"]
    command += ["--hidden-size", "16", "--batch-size", "4", "--bptt", "16", "--epochs", "100000", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (folder / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT if sys.platform != "win32" else signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "--resume goes on from there" in err
    assert "unigram" in out
    assert (folder / "model.safetensors").exists()
    assert (folder / "training_state.safetensors").exists()


def test_a_hyphen_is_standard_input(rhyme: Path, tmp_path: Path) -> None:
    def piped(*arguments: str, text: bytes) -> str:
        command = [sys.executable, "-m", "throughtime", "lm", *arguments]
        return subprocess.run(command, input=text, capture_output=True, check=True).stdout.decode()

    folder = str(tmp_path / "model")
    content = rhyme.read_bytes()
    assert json.loads(piped("train", "-", "-o", folder, *TINY, "--json", text=content))["steps"] == 4
    result = json.loads(piped("evaluate", folder, "-", "--json", text=content))
    assert result["text"]["bytes"] == len(content)
    assert piped("generate", folder, "--prompt", "-", "--length", "3", text=b"ten green").startswith("ten green")
