//! Encryption: AES-256 in counter mode, authenticated by Poly1305-AES, laid out as `IV || ciphertext || MAC`.
//!
//! The primitives come from RustCrypto. They are put together here because restic counts blocks with all 128 bits of
//! the counter (Go's `cipher.NewCTR`), where the ready-made crate carries over 64.

use aes::cipher::{BlockEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aes::{Aes128, Aes256};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use poly1305::Poly1305;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::Error;

/// Bytes in front of a ciphertext: the random IV.
pub(crate) const IV: usize = 16;
/// Bytes behind a ciphertext: the MAC.
pub(crate) const MAC: usize = 16;
/// How much longer a sealed text is than the plain one.
pub(crate) const OVERHEAD: usize = IV + MAC;

/// The MAC does not fit: wrong key, or not the bytes that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unauthentic;

/// The 64 secret bytes, for AES-256, for the AES-128 that makes Poly1305's pad, and Poly1305's `r`.
pub(crate) struct Secrets {
    encrypt: [u8; 32],
    mac_k: [u8; 16],
    mac_r: [u8; 16],
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.encrypt.zeroize();
        self.mac_k.zeroize();
        self.mac_r.zeroize();
    }
}

/// A key that is ready to use: both key schedules expanded.
pub(crate) struct Key {
    encrypt: Aes256,
    pad: Aes128,
    secrets: Secrets,
}

/// The JSON inside of a key file.
#[derive(Serialize, Deserialize)]
struct SecretsJson {
    mac: MacJson,
    encrypt: String,
}

#[derive(Serialize, Deserialize)]
struct MacJson {
    k: String,
    r: String,
}

impl Drop for SecretsJson {
    fn drop(&mut self) {
        self.encrypt.zeroize();
        self.mac.k.zeroize();
        self.mac.r.zeroize();
    }
}

impl Secrets {
    pub(crate) fn random() -> Result<Secrets, Error> {
        let mut bytes = Zeroizing::new([0; 64]);
        fill_random(bytes.as_mut_slice())?;
        Ok(Secrets::from_bytes(&bytes))
    }

    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Secrets {
        let mut secrets = Secrets { encrypt: [0; 32], mac_k: [0; 16], mac_r: [0; 16] };
        secrets.encrypt.copy_from_slice(&bytes[..32]);
        secrets.mac_k.copy_from_slice(&bytes[32..48]);
        secrets.mac_r.copy_from_slice(&bytes[48..]);
        // Poly1305's `r` has 22 bits that are always zero; restic stores it so.
        for at in [3, 7, 11, 15] {
            secrets.mac_r[at] &= 0x0f;
        }
        for at in [4, 8, 12] {
            secrets.mac_r[at] &= 0xfc;
        }
        secrets
    }

    pub(crate) fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        use base64::Engine as _;
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let json = SecretsJson {
            mac: MacJson { k: encode(&self.mac_k), r: encode(&self.mac_r) },
            encrypt: encode(&self.encrypt),
        };
        serde_json::to_vec(&json).map(Zeroizing::new).map_err(|error| Error::Refused(error.to_string()))
    }

    pub(crate) fn from_json(json: &[u8]) -> Option<Secrets> {
        use base64::Engine as _;
        let json: SecretsJson = serde_json::from_slice(json).ok()?;
        let mut bytes = Zeroizing::new([0; 64]);
        let mut decode = |text: &str, range: std::ops::Range<usize>| {
            let decoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.decode(text).ok()?);
            let into = bytes.get_mut(range)?;
            (decoded.len() == into.len()).then(|| into.copy_from_slice(&decoded))
        };
        decode(&json.encrypt, 0..32)?;
        decode(&json.mac.k, 32..48)?;
        decode(&json.mac.r, 48..64)?;
        Some(Secrets::from_bytes(&bytes))
    }
}

impl Key {
    pub(crate) fn new(secrets: Secrets) -> Key {
        Key { encrypt: Aes256::new(&secrets.encrypt.into()), pad: Aes128::new(&secrets.mac_k.into()), secrets }
    }

    fn mac(&self, iv: &[u8; IV], ciphertext: &[u8]) -> [u8; MAC] {
        let mut key = Zeroizing::new([0; 32]);
        let mut pad = (*iv).into();
        self.pad.encrypt_block(&mut pad);
        key[..16].copy_from_slice(&self.secrets.mac_r);
        key[16..].copy_from_slice(&pad);
        Poly1305::new(poly1305::Key::from_slice(key.as_slice())).compute_unpadded(ciphertext).into()
    }

    fn keystream(&self, iv: &[u8; IV], text: &mut [u8]) {
        let core = CtrCore::<Aes256, Ctr128BE>::inner_iv_init(self.encrypt.clone(), iv.into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(text);
    }

    /// Seals in place: `buffer` holds [`IV`] free bytes and then the plain text; the MAC is appended.
    pub(crate) fn seal(&self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        buffer.extend_from_slice(&[0; MAC]);
        self.seal_in_place(buffer)
    }

    /// Seals where the text lies: [`IV`] free bytes, the plain text, [`MAC`] free bytes.
    pub(crate) fn seal_in_place(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let no_room = || Error::Refused("a buffer without room for the seal".into());
        let (iv, rest) = buffer.split_first_chunk_mut::<IV>().ok_or_else(no_room)?;
        let (text, mac) = rest.split_last_chunk_mut::<MAC>().ok_or_else(no_room)?;
        fill_random(iv)?;
        self.keystream(iv, text);
        *mac = self.mac(iv, text);
        Ok(())
    }

    /// Seals a copy of `plain`.
    pub(crate) fn sealed(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut buffer = Vec::with_capacity(plain.len() + OVERHEAD);
        buffer.resize(IV, 0);
        buffer.extend_from_slice(plain);
        self.seal(&mut buffer)?;
        Ok(buffer)
    }

    /// Opens in place and gives the plain text, which stands behind the IV.
    pub(crate) fn open<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a mut [u8], Unauthentic> {
        let (iv, rest) = sealed.split_first_chunk_mut::<IV>().ok_or(Unauthentic)?;
        let (text, mac) = rest.split_last_chunk_mut::<MAC>().ok_or(Unauthentic)?;
        let expected = self.mac(iv, text);
        // Every byte is looked at, whatever the first ones are.
        let difference = expected.iter().zip(mac.iter()).fold(0, |sum, (a, b)| sum | (a ^ b));
        if std::hint::black_box(difference) != 0 {
            return Err(Unauthentic);
        }
        self.keystream(iv, text);
        Ok(text)
    }
}

/// Random bytes from the system.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Error::io("random numbers", std::io::Error::other(error.to_string())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The first test vector of "The Poly1305-AES message-authentication code" (Bernstein, 2005), appendix B.
    #[test]
    fn mac_is_poly1305_aes() {
        let hex = |text: &str| hex::decode(text).unwrap();
        let mut bytes = [0; 64];
        bytes[32..48].copy_from_slice(&hex("ec074c835580741701425b623235add6"));
        bytes[48..].copy_from_slice(&hex("851fc40c3467ac0be05cc20404f3f700"));
        let key = Key::new(Secrets::from_bytes(&bytes));
        let nonce: [u8; 16] = hex("fb447350c4e868c52ac3275cf9d4327e").try_into().unwrap();
        assert_eq!(key.mac(&nonce, &hex("f3f6")).to_vec(), hex("f4c633c3044fc145f84f335cb81953de"));
    }

    /// All 128 bits of the counter count, as in Go.
    #[test]
    fn counter_carries_past_64_bits() {
        let key = Key::new(Secrets::from_bytes(&[7; 64]));
        let mut iv = [0xff; 16];
        iv[..8].fill(0);
        let mut next = [0; 16];
        next[7] = 1;
        let (mut two, mut one) = ([0; 32], [0; 16]);
        key.keystream(&iv, &mut two);
        key.keystream(&next, &mut one);
        assert_eq!(two[16..], one);
    }

    #[test]
    fn one_flipped_bit_is_refused() {
        let key = Key::new(Secrets::from_bytes(&[3; 64]));
        let sealed = key.sealed(b"the last good state").unwrap();
        assert_eq!(key.open(&mut sealed.clone()).unwrap(), b"the last good state");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&mut flipped), Err(Unauthentic));
        }
        assert_eq!(key.open(&mut [0; 31]), Err(Unauthentic));
    }
}
