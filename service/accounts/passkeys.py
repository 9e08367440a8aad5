"""The two ceremonies of WebAuthn: an authenticator makes a passkey, or signs with one.

The library `webauthn` checks what WebAuthn Level 3 asks for in sections 7.1 and 7.2; what needs the
database is here. The challenge that an authenticator signs is the value of a `Challenge`.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import flask
import webauthn
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CollectedClientData,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from service.accounts.audit import record
from service.caller import Caller
from service.domain.authentication import HARDWARE_KEY, SOFTWARE_KEY
from service.domain.passkeys import relying_party
from service.engine.database.transaction import Row, commit
from service.engine.http.occasional import Occasional
from service.engine.observe.metrics import count_on_commit
from service.mail import outbox
from service.models import Passkey, mails
from service.models.challenges import LIFETIME
from service.models.passkeys import MAX_CREDENTIAL_ID_BYTES
from service.problems import PasskeyInvalid, PasskeyWrong

# ES256 first: some authenticators encode their EdDSA keys wrongly. RS256 is for Windows Hello.
ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
MIN_RSA_BITS = 2048  # NIST SP 800-131A
_TIMEOUT = int(LIFETIME.total_seconds() * 1000)
_FOREIGN = Occasional("Refused a passkey from the origin %r, which PASSKEY_ORIGINS can allow.")


def creation_options(caller: Caller, challenge: str) -> dict[str, Any]:
    """The PublicKeyCredentialCreationOptionsJSON for a new passkey of the caller."""
    options = webauthn.generate_registration_options(
        rp_id=_relying_party(),
        rp_name=flask.current_app.config["PRODUCT_NAME"],
        user_id=UUID(caller.id).bytes,
        user_name=caller.email,
        user_display_name=caller.username,
        challenge=challenge.encode(),
        timeout=_TIMEOUT,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(caller.id),
        supported_pub_key_algs=ALGORITHMS,
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def request_options(challenge: str, user_id: str | None = None) -> dict[str, Any]:
    """The PublicKeyCredentialRequestOptionsJSON for any passkey of this site, or for those of one
    user."""
    options = webauthn.generate_authentication_options(
        rp_id=_relying_party(),
        challenge=challenge.encode(),
        timeout=_TIMEOUT,
        allow_credentials=_descriptors(user_id) if user_id else [],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    found: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return found


def answered(credential: dict[str, Any]) -> str:
    """The challenge that a credential answers; empty if that is not one of ours."""
    try:
        return _client_data(credential).challenge.decode("ascii")
    except Exception:  # bytes of a client
        return ""


def registered(credential: dict[str, Any], challenge: str) -> dict[str, Any]:
    """The columns of a new `Passkey`; raises `PasskeyInvalid`."""
    try:
        data = _client_data(credential)
        made = webauthn.verify_registration_response(
            credential=_without_attachment(credential),
            expected_challenge=challenge.encode(),
            expected_rp_id=_relying_party(),
            expected_origin=_origins(data),
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        _check_key(made.credential_public_key)
        parsed = parse_registration_credential_json(_without_attachment(credential))
    except Exception:  # bytes of a client: the library raises anything
        raise PasskeyInvalid from None
    id_ = bytes_to_base64url(made.credential_id)
    if id_ != credential["id"] or len(made.credential_id) > MAX_CREDENTIAL_ID_BYTES:
        raise PasskeyInvalid
    return {
        "credential_id": id_,
        "public_key": bytes_to_base64url(made.credential_public_key),
        "sign_count": made.sign_count,
        "transports": " ".join(sorted({one.value for one in parsed.response.transports or ()})),
        "backed_up": made.credential_backed_up,
    }


def _check_key(cose: bytes) -> None:
    """Raise anything for a key that could not verify a sign-in, or that anybody could sign with."""
    key = decoded_public_key_to_cryptography(decode_credential_public_key(cose))
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise ValueError


def check_owned(user_id: str, credential: dict[str, Any], challenge: str) -> str:
    """As `check`, for a passkey that must be this user's."""
    passkey = Passkey.by_credential(credential["id"])
    if passkey is None or passkey.user_id != user_id:
        raise PasskeyWrong
    return check(passkey, credential, challenge)


def check(passkey: Row, credential: dict[str, Any], challenge: str) -> str:
    """Check that this challenge was signed with a passkey of `Passkey.by_credential`, and note its
    use; returns the method of `domain.authentication`.

    Raises `PasskeyWrong`, also if the counter does not go forward, which is recorded and told.
    """
    try:
        data = _client_data(credential)
        signed = webauthn.verify_authentication_response(
            credential=_without_attachment(credential),
            expected_challenge=challenge.encode(),
            expected_rp_id=_relying_party(),
            expected_origin=_origins(data),
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=0,  # `Passkey.use` compares, after the signature
            require_user_verification=True,
        )
        handle = base64url_to_bytes(credential["response"].get("userHandle") or "")
    except Exception:  # bytes of a client: the library raises anything
        raise PasskeyWrong from None
    if handle not in (b"", UUID(passkey.user_id).bytes):  # some browsers send none
        raise PasskeyWrong
    count, backed_up = signed.new_sign_count, signed.credential_backed_up
    if not Passkey.use(passkey.id, sign_count=count, backed_up=backed_up):
        raise _copied(passkey)
    is_bound = signed.credential_device_type is CredentialDeviceType.SINGLE_DEVICE
    return HARDWARE_KEY if is_bound else SOFTWARE_KEY


def _copied(passkey: Row) -> PasskeyWrong:
    record("passkey-refused", passkey.user_id)
    outbox.notify(mails.PASSKEY_REFUSED, passkey.user_id)
    count_on_commit("passkeys_refused_total")
    commit()  # keep the event although the answer is a refusal
    return PasskeyWrong("The counter of the authenticator did not go forward.")


def _client_data(credential: dict[str, Any]) -> CollectedClientData:
    """What the browser says of the ceremony; raises anything."""
    return parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))


def _origins(data: CollectedClientData) -> list[str]:
    """The origins that are allowed; raises ValueError for a page inside a page of another."""
    origins = list(flask.current_app.config["PASSKEY_ORIGINS"])
    if data.origin not in origins:
        _FOREIGN.warn(str(data.origin))
    if data.cross_origin:
        raise ValueError
    return origins


def _relying_party() -> str:
    return relying_party(flask.current_app.config["PASSKEY_ORIGINS"])


def _descriptors(user_id: str) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(row.credential_id),
            transports=[AuthenticatorTransport(one) for one in row.transports.split()],
        )
        for row in Passkey.credentials(user_id)
    ]


def _without_attachment(credential: dict[str, Any]) -> dict[str, Any]:
    # The library refuses values that it does not know; the standard tells to ignore them.
    return {name: credential[name] for name in credential if name != "authenticatorAttachment"}
