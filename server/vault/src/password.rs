//! The secret that opens a vault.

use std::fmt;

use zeroize::Zeroizing;

use crate::Error;

/// A vault's password: wiped from memory on drop, never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A password from its text.
    pub fn new(text: String) -> Password {
        Password(Zeroizing::new(text))
    }

    /// A new random password of 256 bits, in 43 characters that survive every shell and every printer.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Password, Error> {
        use base64::Engine as _;
        let mut bytes = Zeroizing::new([0u8; 32]);
        crate::crypto::fill_random(bytes.as_mut_slice())?;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        Ok(Password::new(engine.encode(bytes.as_slice())))
    }

    /// The text itself. Whoever calls this takes care where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
