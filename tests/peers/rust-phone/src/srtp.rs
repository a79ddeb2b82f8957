//! SRTP by libsrtp, the C library of Debian: AES_CM_128_HMAC_SHA1_80 (RFC 3711, RFC 4568 §6.2.1) and nothing else.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

use anyhow::ensure;

/// Bytes of master key and salt.
pub(crate) const KEY: usize = 30;
/// Most bytes that protection adds.
const TRAILER: usize = 160;

/// What the library said when it was set up.
static BEGUN: OnceLock<c_int> = OnceLock::new();

/// One direction of a call.
pub(crate) struct Context(*mut c_void);

// SAFETY: libsrtp keeps all state of a context in it, and every use takes it by unique reference.
unsafe impl Send for Context {}

/// Which way.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// `ssrc_any_inbound`.
    In = 2,
    /// `ssrc_any_outbound`.
    Out = 3,
}

impl Context {
    /// With the key that whoever sends has named in the session description.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn new(mut key: [u8; KEY], way: Way) -> anyhow::Result<Self> {
        let mut context = null_mut();
        let mut policy = Policy {
            ssrc: Ssrc {
                kind: way as c_int,
                value: 0,
            },
            rtp: CryptoPolicy::default(),
            rtcp: CryptoPolicy::default(),
            key: key.as_mut_ptr(),
            keys: null_mut(),
            num_master_keys: 0,
            deprecated_ekt: null_mut(),
            window_size: 0,
            allow_repeat_tx: 0,
            enc_xtn_hdr: null_mut(),
            enc_xtn_hdr_count: 0,
            next: null_mut(),
        };
        // SAFETY: it is called once, before anything else of the library.
        let status = *BEGUN.get_or_init(|| unsafe { srtp_init() });
        ensure!(status == 0, "srtp_init: {status}");
        // SAFETY: all pointers are to values that live through the calls, laid out as srtp.h of version 2 has them; the
        // library copies what it keeps.
        let status = unsafe {
            srtp_crypto_policy_set_rtp_default(&raw mut policy.rtp);
            srtp_crypto_policy_set_rtp_default(&raw mut policy.rtcp);
            srtp_create(&raw mut context, &raw const policy)
        };
        ensure!(status == 0, "srtp_create: {status}");
        Ok(Self(context))
    }

    /// Encrypts and signs an RTP packet.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn protect(&mut self, packet: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut length = c_int::try_from(packet.len())?;
        packet.resize(packet.len() + TRAILER, 0);
        // SAFETY: the buffer has the room behind the packet that the library may use, and is aligned by the allocator.
        let status = unsafe { srtp_protect(self.0, packet.as_mut_ptr().cast(), &raw mut length) };
        ensure!(status == 0, "srtp_protect: {status}");
        packet.truncate(usize::try_from(length)?);
        Ok(())
    }

    /// Verifies and decrypts a packet.
    ///
    /// # Errors
    /// If it is none, or not signed by the other side.
    pub(crate) fn unprotect(&mut self, packet: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut length = c_int::try_from(packet.len())?;
        // SAFETY: the library reads and writes within `length` bytes.
        let status = unsafe { srtp_unprotect(self.0, packet.as_mut_ptr().cast(), &raw mut length) };
        ensure!(status == 0, "srtp_unprotect: {status}");
        packet.truncate(usize::try_from(length)?);
        Ok(())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was made by the library and is used no more.
        unsafe { srtp_dealloc(self.0) };
    }
}

#[repr(C)]
struct Ssrc {
    kind: c_int,
    value: c_uint,
}

#[repr(C)]
#[derive(Default)]
struct CryptoPolicy {
    cipher_type: u32,
    cipher_key_len: c_int,
    auth_type: u32,
    auth_key_len: c_int,
    auth_tag_len: c_int,
    sec_serv: c_int,
}

#[repr(C)]
struct Policy {
    ssrc: Ssrc,
    rtp: CryptoPolicy,
    rtcp: CryptoPolicy,
    key: *mut u8,
    keys: *mut *mut c_void,
    num_master_keys: c_ulong,
    deprecated_ekt: *mut c_void,
    window_size: c_ulong,
    allow_repeat_tx: c_int,
    enc_xtn_hdr: *mut c_int,
    enc_xtn_hdr_count: c_int,
    next: *mut Policy,
}

#[link(name = "srtp2")]
unsafe extern "C" {
    fn srtp_init() -> c_int;
    fn srtp_crypto_policy_set_rtp_default(policy: *mut CryptoPolicy);
    fn srtp_create(context: *mut *mut c_void, policy: *const Policy) -> c_int;
    fn srtp_dealloc(context: *mut c_void) -> c_int;
    fn srtp_protect(context: *mut c_void, packet: *mut c_void, length: *mut c_int) -> c_int;
    fn srtp_unprotect(context: *mut c_void, packet: *mut c_void, length: *mut c_int) -> c_int;
}
