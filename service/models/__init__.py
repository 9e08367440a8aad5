"""The tables, and the statements that read and write them."""

from service.models.audit_events import AuditEvent
from service.models.challenges import Challenge
from service.models.credentials import Credentials
from service.models.deletions import Deletion
from service.models.factor_resets import FactorReset
from service.models.idempotency_keys import IdempotencyKey
from service.models.long_documents import LongDocuments  # posts
from service.models.mail_counts import MailCount
from service.models.mailed_tokens import MailedToken
from service.models.mails import Mail
from service.models.passkeys import Passkey
from service.models.personal_tokens import PersonalToken
from service.models.post_documents import PostDocument  # posts
from service.models.posts import Post  # posts
from service.models.profiles import Profile
from service.models.recovery_codes import RecoveryCode
from service.models.resting_usernames import RestingUsername
from service.models.sessions import Session
from service.models.sign_in_guards import KnownNetwork, SignInGuard
from service.models.totp_factors import PendingTotp, TotpFactor
from service.models.user_addresses import UserAddress
from service.models.users import User

__all__ = [
    "AuditEvent",
    "Challenge",
    "Credentials",
    "Deletion",
    "FactorReset",
    "IdempotencyKey",
    "KnownNetwork",
    "LongDocuments",  # posts
    "Mail",
    "MailCount",
    "MailedToken",
    "Passkey",
    "PendingTotp",
    "PersonalToken",
    "Post",  # posts
    "PostDocument",  # posts
    "Profile",
    "RecoveryCode",
    "RestingUsername",
    "Session",
    "SignInGuard",
    "TotpFactor",
    "User",
    "UserAddress",
]
