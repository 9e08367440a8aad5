// Passkeys (WebAuthn): the options come from the API, and its answer goes back to it.

export const canUsePasskeys = Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON)

// A new passkey, for `add_passkey`.
export async function createPasskey(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options)
  const credential = await navigator.credentials.create({ publicKey })
  return credential.toJSON()
}

// What an existing passkey says to the challenge in the options.
export async function usePasskey(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
  const credential = await navigator.credentials.get({ publicKey })
  return credential.toJSON()
}
