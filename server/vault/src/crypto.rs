//! Encryption.
use crate::Error;
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|error| Error::io("random numbers", std::io::Error::other(error.to_string())))
}
