"""Mutants that trust a mailed link too much, or too little."""

from tests.mutants.mutant import Mutant

KINDS = {
    "links in the wrong hands": [
        Mutant(
            "the password that a thief knows outlives the undoing of a change of address",
            "service/handlers/auth.py",
            "    Credentials.remove_password(user_id)  # whoever changed the address knew it\n",
            "",
            "tests/accounts/test_auth_undone_changes.py::test_the_old_address_gets_it_all_back",
        ),
        Mutant(
            "a new password ends the token that undoes a change of address",
            "service/models/mailed_tokens.py",
            "LIFETIMES.keys() - LASTING",
            "LIFETIMES",
            "tests/accounts/test_auth_undone_changes.py"
            "::test_a_thief_who_changes_it_twice_and_the_password_too_is_undone",
        ),
        Mutant(
            "whoever reads an old mailbox undoes an admin's change of address",
            "service/handlers/users.py",
            "MailedToken.revoke_all(user_id)",
            "MailedToken.revoke(user_id)",
            "tests/accounts/test_moved_by_admin.py"
            "::test_whoever_reads_an_old_mailbox_cannot_undo_what_an_admin_did",
        ),
        Mutant(
            "whoever reads an old mailbox takes over an administrator's account",
            "service/handlers/users.py",
            "accounts.becomes_admin(before, account)",
            "False",
            "tests/accounts/test_links_of_new_admins.py"
            "::test_an_address_from_before_the_promotion_gets_no_administrator",
        ),
        Mutant(
            "any password reset redeems the promise of an invitation",
            "service/handlers/auth.py",
            "    if kind == mails.INVITATION:\n        _accept_role(user_id)\n",
            "    _accept_role(user_id)\n",
            "tests/accounts/test_invited_admins.py"
            "::test_a_reset_does_not_make_an_invited_user_an_admin",
        ),
        Mutant(
            "a dismissed administrator makes administrators",
            "service/models/credentials.py",
            '    _inviter.role == "admin",\n    _inviter.disabled.is_(False),\n',
            "",
            "tests/accounts/test_invited_admins.py"
            "::test_nobody_becomes_an_admin_by_the_word_of_a_former_one",
        ),
        Mutant(
            "mails are counted by address, so that one mailbox gets any number",
            "service/mail/outbox.py",
            "addresses.mailbox(recipient)",
            "addresses.key(recipient)",
            "tests/web/test_mails_to_one_recipient.py"
            "::test_no_number_of_addresses_floods_one_mailbox",
        ),
        Mutant(
            "a mailed token is good any number of times",
            "service/models/mailed_tokens.py",
            "or not _use.write(hash=digest)",
            "",
            "tests/accounts/test_auth_mailed_tokens.py::test_a_token_is_good_once",
        ),
    ],
}
