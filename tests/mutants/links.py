"""Mutants that trust a mailed link too much, or too little."""

from tests.mutants.mutant import Mutant

KINDS = {
    "links in the wrong hands": [
        Mutant(
            "the password that a thief knows outlives the undoing of a change of address",
            "service/handlers/auth.py",
            "    Credentials.remove_password(user_id)  # a thief who changed the address knew it\n",
            "",
            "tests/accounts/test_auth_undone_changes.py"
            "::test_undoing_a_change_gives_the_account_back_to_the_old_address",
        ),
        Mutant(
            "a new password ends the token that undoes a change of address",
            "service/models/mailed_tokens.py",
            "LIFETIMES.keys() - LASTING",
            "LIFETIMES",
            "tests/accounts/test_auth_undone_changes.py"
            "::test_undoing_reverts_two_changes_of_address_and_a_changed_password",
        ),
        Mutant(
            "whoever reads an old mailbox undoes an admin's change of address",
            "service/handlers/users.py",
            "MailedToken.revoke_all(user_id)",
            "MailedToken.revoke(user_id)",
            "tests/accounts/test_moved_by_admin.py"
            "::test_the_old_mailbox_cannot_undo_an_admins_change",
        ),
        Mutant(
            "whoever reads an old mailbox takes over an administrator's account",
            "service/handlers/users.py",
            "accounts.becomes_admin(before, account)",
            "False",
            "tests/accounts/test_links_of_new_admins.py"
            "::test_an_undo_link_from_before_a_promotion_does_not_work",
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
            '        _inviter.role == "admin",\n        _inviter.disabled.is_(False),\n',
            "",
            "tests/accounts/test_invited_admins.py"
            "::test_the_invitation_of_a_former_admin_makes_no_admin",
        ),
        Mutant(
            "mails are counted by address, so that one mailbox gets any number",
            "service/mail/outbox.py",
            "addresses.mailbox(recipient)",
            "addresses.key(recipient)",
            "tests/web/test_mails_to_one_recipient.py"
            "::test_variants_of_an_address_share_the_limit_of_its_mailbox",
        ),
        Mutant(
            "a mailed token is good any number of times",
            "service/models/mailed_tokens.py",
            "or not _use.write(hash=digest)",
            "",
            "tests/accounts/test_auth_mailed_tokens.py::test_a_mailed_token_can_be_used_once",
        ),
    ],
}
