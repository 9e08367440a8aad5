"""The list of mutants fits the code; `make mutants` is what plants them."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.kit.copies import ROOT
from tests.mutants import KINDS
from tests.mutants.mutant import Mutant

MUTANTS = list(chain.from_iterable(KINDS.values()))

each_mutant = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.fault)


@each_mutant
def test_the_text_of_a_mutant_occurs_once_in_its_file(mutant: Mutant) -> None:
    assert mutant.file == "openapi/openapi.yaml" or mutant.file.startswith("service/")
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


@each_mutant
def test_the_test_that_must_fail_exists(mutant: Mutant) -> None:
    file, _, test = mutant.test.partition("[")[0].partition("::")
    text = (ROOT / file).read_text()
    assert not test or f"\ndef {test}(" in text


def test_every_kind_has_at_least_two_mutants() -> None:
    assert [kind for kind, mutants in KINDS.items() if len(mutants) < 2] == []
