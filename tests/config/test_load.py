"""The loader: every mistake is told with file, line, column, key and reason."""

from pathlib import Path

import pytest

from tongpin.config.keyers import SerialKeyer
from tongpin.config.load import MAX_BYTES, ConfigError, load
from tongpin.config.models import SimCard, TlsFiles

ROOM = Path(__file__).parents[2] / "config"

WRONG = {
    "unknown key, near one named": ("server:\n  prot: 1\n", "2:3: server.prot: no such key; did you mean 'port'?"),
    "wrong type": ("server:\n  port: many\n", "2:9: server.port: input should be a valid integer"),
    "out of range": ("server:\n  port: 70000\n", "2:9: server.port: input should be less than or equal to 65535"),
    "code without quotes": (
        "agencies:\n  - {id: 023, name: x}\n",
        "2:10: agencies.0.id: must be text; YAML reads 023 as 19: put it in quotes",
    ),
    "yes as a number": ("server:\n  port: yes\n", "2:9: server.port: must be a number"),
    "on as a number": ("floor:\n  talk_limit_s: on\n", "2:17: floor.talk_limit_s: must be a number"),
    "not a number": ("floor: {talk_limit_s: .nan}\n", "1:23: floor.talk_limit_s: input should be a finite number"),
    "on as a word": ("server:\n  tls: on\n", "2:8: server.tls: input should be 'auto' or 'off', or the keys"),
    "half a certificate": ("server:\n  tls: {cert: a.pem}\n", "2:8: server.tls.key: is missing"),
    "no date": ("data_folder: 2024-13-45\n", "1:14: YAML cannot read '2024-13-45'"),
    "huge number": ("server: {port: " + "1" * 5000 + "}\n", "1:16: YAML cannot read '1111"),
    "key twice": ("server: {}\nfloor: {}\nserver: {}\n", "3:1: server: stands here twice"),
    "list as a key": ("? [a, b]\n: c\n", "1:3: a key must be a plain word"),
    "number as a key": ("server:\n  1: x\n", "2:3: server.1: keys should be strings"),
    "empty section": ("server:\n", "1:8: server: must hold keys"),
    "empty list": ("legs:\n", "1:6: legs: must be a list"),
    "tab": ("server:\n\tport: 1\n", "2:1: not YAML: found character '\\t'"),
    "open bracket": ("server: [\n", "2:1: not YAML: "),
    "a tag that would run something": ("!!python/object/apply:os.system ['x']\n", "1:1: not YAML: could not determine"),
    "two documents": ("server: {}\n---\nfloor: {}\n", "2:1: not YAML: but found another document"),
    "a list": ("- server\n", "1:1: the file must hold keys and values"),
    "alias ring": ("a: &a [*a]\n", "1:1: a: no such key"),
    "unknown kind": (
        "legs:\n  - {name: a, card: {kind: sim}, keyer: {kind: serail}}\n",
        "2:48: legs.0.keyer.kind: 'serail' is unknown; "
        "choose one of 'serial', 'cm108', 'gpio', 'rigctl', 'vox', 'none', 'sim'",
    ),
    "no kind": ("legs:\n  - {name: a, card: {device: x}}\n", "2:21: legs.0.card: 'kind' is missing"),
    "key of another kind": (
        "legs:\n  - {name: a, card: {kind: sim, device: x}}\n",
        "2:33: legs.0.card.device: no such key",
    ),
    "leg twice": (
        "legs:\n  - {name: a, card: {kind: sim}}\n  - {name: a, card: {kind: sim}}\n",
        "3:12: legs.1.name: 'a' stands here twice",
    ),
    "group twice": (
        "talk_groups:\n  - {id: a, name: x}\n  - {id: a, name: y}\n",
        "3:10: talk_groups.1.id: 'a' stands here twice",
    ),
    "group of no agency": (
        "talk_groups:\n  - {id: a, name: x, agency: zz}\n",
        "2:30: talk_groups.0.agency: no agency has the id 'zz'",
    ),
    "leg of no agency": (
        "legs:\n  - {name: a, agency: zz, card: {kind: sim}}\n",
        "2:23: legs.0.agency: no agency has the id 'zz'",
    ),
    "squelch closes above where it opens": (
        "legs:\n  - name: a\n    card: {kind: sim}\n    gate: {squelch_close_dbfs: -20}\n",
        "4:32: legs.0.gate.squelch_close_dbfs: is above squelch_open_dbfs",
    ),
    "card without a device": ("legs:\n  - {name: a, card: {kind: soundcard}}\n", "2:21: legs.0.card: names no device"),
    "home of nobody": (
        "data_folder: ~no-such-user-here/x\n",
        "1:14: data_folder: '~no-such-user-here/x' begins with ~",
    ),
}


def problems_of(path: Path | None, env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, env)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_its_place(case: str, tmp_path: Path) -> None:
    text, expected = WRONG[case]
    file = tmp_path / "tongpin.yaml"
    file.write_text(text)
    told = problems_of(file, {})
    assert len(told) == 1
    assert told[0].startswith(f"{file}:{expected}")
    assert "\n" not in told[0]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "tongpin.yaml"
    file.write_text("server:\n  port: -1\n  colour: red\nfloor:\n  grace_s: 99\n")
    assert [line.split(": ")[1] for line in problems_of(file, {})] == ["server.port", "server.colour", "floor.grace_s"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"server: \xff\n", "not UTF-8 (byte 8)"),
        (b"#" * (MAX_BYTES + 1), f"larger than {MAX_BYTES} bytes: not a configuration"),
        (b"a\x00b", "not YAML: unacceptable character #x0000"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "tongpin.yaml"
    file.write_bytes(data)
    assert problems_of(file, {})[0].startswith(f"{file}: {reason}")


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tongpin.yaml"
    file.write_text("[" * 20_000)
    assert problems_of(file, {}) == [f"{file}: nested too deep"]


def test_shared_aliases_cost_no_more_than_they_take(tmp_path: Path) -> None:
    """Nine aliases of nine aliases and so on would be 9**20 values if each were walked."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    file = tmp_path / "tongpin.yaml"
    file.write_text("\n".join(lines))
    assert len(problems_of(file, {})) == 20


def test_missing_file() -> None:
    assert problems_of(Path("/nowhere/x.yaml"), {}) == ["/nowhere/x.yaml: cannot be read: No such file or directory"]


def test_environment_lies_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tongpin.yaml"
    file.write_text("server:\n  port: 1000\n  host: 10.0.0.1\nfloor:\n")
    env = {
        "TONGPIN_SERVER__PORT": "2000",
        "TONGPIN_FLOOR__TALK_LIMIT_S": "12.5",
        "TONGPIN_WEBRTC__INCLUDE_LOOPBACK": "false",
        "TONGPIN_WEBRTC__INTERFACES": "[eth0, eth1]",
        "TONGPIN_STORAGE__URL": "null",
        "TONGPIN_DATA_FOLDER": "2024",
        "TONGPIN_AGENCIES": '[{id: "023", name: x}]',
        "TONGPIN_NATIVE": "yes",
        "HOME": "/root",
    }
    config = load(file, env)
    assert (config.server.port, config.server.host) == (2000, "10.0.0.1")
    assert config.floor.talk_limit_s == 12.5
    assert not config.webrtc.include_loopback
    assert config.webrtc.interfaces == ("eth0", "eth1")
    assert config.storage.url is None
    assert config.data_folder == tmp_path / "2024"
    assert config.agencies[0].id == "023"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TONGPIN_SERVER__PROT", "1", "server.prot: no such key; did you mean 'port'?"),
        ("TONGPIN_SERVER__PORT", "x", "server.port: input should be a valid integer"),
        ("TONGPIN_SERVER__TLS", "[", "server.tls: not YAML"),
        ("TONGPIN_AGENCIES", "[{id: 023, name: x}]", "agencies.0.id: input should be a valid string"),
        ("TONGPIN_TALK_GROUPS", "[{id: a, name: x, agency: zz}]", "talk_groups.0.agency: no agency has the id 'zz'"),
        ("TONGPIN_DATA_FOLDER__X", "1", "data_folder.x: 'data_folder' has no keys below"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "tongpin.yaml"
    file.write_text("data_folder: x\n")
    told = problems_of(file, {name: value})
    assert len(told) == 1
    assert told[0].startswith(f"environment {name}: {expected}")


def test_no_file_is_the_embedded_default() -> None:
    config = load(None, {})
    assert (config.server.host, config.server.tls, config.legs) == ("127.0.0.1", "off", ())
    assert config.data_folder == Path.cwd() / "tongpin-data"


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "tongpin.yaml"
    file.write_text("# nothing yet\n")
    assert load(file, {}).server.port == 8443


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tongpin.yaml"
    file.write_text(
        "data_folder: data\n"
        "server: {tls: {cert: c.pem, key: /etc/k.pem}}\n"
        "legs:\n"
        "  - {name: a, card: {kind: sim, record: out.wav, utterances: [{at_s: 1, file: in.wav}]}}\n"
    )
    config = load(file, {})
    assert config.data_folder == tmp_path / "data"
    assert isinstance(config.server.tls, TlsFiles)
    assert (config.server.tls.cert, config.server.tls.key) == (tmp_path / "c.pem", Path("/etc/k.pem"))
    card = config.legs[0].card
    assert isinstance(card, SimCard)
    assert card.record == tmp_path / "out.wav"
    assert card.utterances[0].file == tmp_path / "in.wav"


def test_the_example_is_valid() -> None:
    config = load(ROOM / "example.yaml", {})
    assert [leg.name for leg in config.legs] == ["police-radio", "urban-radio"]
    keyer = config.legs[0].keyer
    assert isinstance(keyer, SerialKeyer)
    assert keyer.cos_line == "cts"
    assert {leg.talk_group for leg in config.legs} == {group.id for group in config.talk_groups}


def test_what_init_writes_is_valid_with_and_without_its_comments(tmp_path: Path) -> None:
    text = (ROOM / "start.yaml").read_text("utf-8")
    assert load(ROOM / "start.yaml", {}).server.tls == "auto"
    lines = text.splitlines()
    first = lines.index("# agencies:")
    file = tmp_path / "tongpin.yaml"
    file.write_text("\n".join([*lines[:first], *(line.removeprefix("# ") for line in lines[first:])]))
    assert [leg.name for leg in load(file, {}).legs] == ["police-radio"]
