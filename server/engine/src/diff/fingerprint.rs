//! Keyed fingerprints: whether two values are the same can be seen, and nothing else of them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What fingerprints are made with: 32 bytes of this server that are in no answer. Wiped when it goes.
#[derive(Clone)]
pub struct FingerprintKey(Zeroizing<[u8; 32]>);

impl FingerprintKey {
    /// Takes the key.
    #[must_use]
    pub const fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(key)
    }

    /// 12 hexadecimal digits. Two variables of one value have two of them, so that nobody sees who shares a password.
    pub(super) fn of(&self, name: &str, value: &str) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&*self.0) else { return String::new() };
        mac.update(name.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        let mut text = hex::encode(mac.finalize().into_bytes());
        text.truncate(12);
        text
    }
}

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey(•••)")
    }
}
