"""Direct identifiers stay out, pseudonyms need the key, and keys stay away from the data."""

import hashlib
import hmac

import pandas as pd
import pytest
from sources import SYNTHETIC, exported, refused, small_trial, take

from slopeshift.formats.privacy import identifying_columns
from slopeshift.formats.source import Source
from slopeshift.trial import read_trial

KEY = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key.txt"
    path.write_bytes(KEY + b"\n")
    return path


def column(name, cell="x"):
    return Source("x.csv", pd.DataFrame({name: [cell]}, index=pd.Index([2]), dtype="str"))


@pytest.mark.parametrize(
    "name",
    """name Name first_name lastName PatientName patient_name surname initials DOB date_of_birth Birthdate BRTHDTC street_address
    Postcode ZIP phone_number Telephone mobile e-mail Email SSN mrn nhs_number Vorname Nachname Geburtsdatum apellido""".split(),
)
def test_a_column_that_looks_like_an_identifier_is_seen(name):
    assert list(identifying_columns(column(name))) == [name]


@pytest.mark.parametrize(
    "name",
    """patient subject_id USUBJID redcap_event_name Preferred_Term event_name record_id drug_name age sex onset_site
    redcap_data_access_group Date_of_visit phonation hemophilia rename emailed_reminder_count""".split(),
)
def test_other_columns_are_let_pass(name):
    assert identifying_columns(column(name)) == {}


def test_an_empty_column_identifies_nobody():
    assert identifying_columns(column("surname", "")) == {}


def test_dropped_identifiers_are_listed_and_written_nowhere(tmp_path):
    source = exported("table", small_trial(tmp_path / "small"), tmp_path / "in")
    table = pd.read_csv(source["source"], dtype="str", keep_default_na=False)
    table.assign(surname="Kowalski").to_csv(source["source"], index=False)
    done = take("table", destination=tmp_path / "out", drop_identifiers=True, **source)
    assert (done.ledger["reason"] == "column surname: a column that looks like 'surname'").sum() == 1
    assert not any(b"Kowalski" in path.read_bytes() for path in (tmp_path / "out").iterdir())


def test_pseudonyms_are_keyed_and_the_same_in_every_table(key, tmp_path):
    source = exported("table", SYNTHETIC, tmp_path / "in")
    done = take("table", destination=tmp_path / "out", key=key, **source).trial
    expected = "P-" + hmac.new(KEY, b"P01", hashlib.sha256).hexdigest()[:12]
    assert expected in set(done.patients["patient"])
    before = read_trial(SYNTHETIC)
    for name in ("visits", "injections", "events"):
        counts = getattr(before, name)["patient"].value_counts()
        assert getattr(done, name)["patient"].value_counts()[expected] == counts["P01"]
    written = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").iterdir()))
    assert b"P01" not in written
    assert KEY not in written
    assert "pseudonyms" in done.source


def test_another_key_gives_other_pseudonyms(key, tmp_path):
    source = exported("table", small_trial(tmp_path / "small"), tmp_path / "in")
    one = take("table", destination=tmp_path / "one", key=key, **source).trial
    key.write_bytes(KEY[::-1])
    other = take("table", destination=tmp_path / "other", key=key, **source).trial
    assert not set(one.patients["patient"]) & set(other.patients["patient"])


@pytest.mark.parametrize(
    ("place", "content", "found", "remedy"),
    [
        ("out/key", KEY, "a key inside the folder to be written", "away from the data"),
        ("data/key", KEY, "a key inside a folder named data", "away from the data"),
        ("data/deep/key", KEY, "a key inside a folder named data", "away from the data"),
        ("nowhere", None, "no such file", "make a key"),
        ("short", b"secret", "a key of 6 bytes", "use at least 16"),
    ],
)
def test_a_key_that_cannot_protect_is_refused(place, content, found, remedy, tmp_path):
    source = exported("table", small_trial(tmp_path / "small"), tmp_path / "in")
    path = tmp_path / place
    if content is not None and not place.startswith("out"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    problems = refused("table", destination=tmp_path / "out", key=path, **source)
    assert problems["found"].tolist() == [found]
    assert remedy in problems["remedy"][0]


def test_a_link_does_not_hide_where_a_key_is(tmp_path):
    source = exported("table", small_trial(tmp_path / "small"), tmp_path / "in")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "key").write_bytes(KEY)
    (tmp_path / "key").symlink_to(tmp_path / "data" / "key")
    assert "named data" in refused("table", destination=tmp_path / "out", key=tmp_path / "key", **source)["found"][0]


def test_names_that_are_nearly_the_same_are_refused_before_pseudonyms_hide_it(key, tmp_path):
    source = exported("table", small_trial(tmp_path / "small"), tmp_path / "in")
    source["source"].write_text(source["source"].read_text().replace("A3", "a1"))
    problems = refused("table", destination=tmp_path / "out", key=key, **source)
    assert problems["found"].tolist() == ["'A1' and 'a1'"]
    assert "spell one patient one way" in problems["remedy"][0]
