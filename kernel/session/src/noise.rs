//! `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s` (Noise Protocol Framework rev. 34),
//! both ends, with the responder in steps.
//!
//! ```text
//! <- s
//! -> e, es, s, ss     + payload (32 bytes)
//! <- e, ee, se, psk   + payload (48 bytes)
//! ```
//!
//! Why not a library: the board has one thread, and one X25519 takes 3 ms on
//! it. A responder that reads message 1 in one call would hold the machine for
//! two of them before it could ask whether the client is on the list. So each
//! step here costs at most one key agreement, and between [`Responder::step_es`]
//! and [`Responder::step_ss`] the caller looks the client up.
//!
//! With a psk, `e` also mixes the ephemeral public key into the chaining key
//! (9.2), so every encryption of both messages follows a fresh MixKey: the
//! nonce is always 0 and no counter is kept.
//!
//! A responder that has failed stays failed. An initiator does not: whoever
//! can send datagrams could otherwise end a handshake with a forged answer.

use sk_wire::{HsInit, HsResp, InitPayload, Prologue, RespPayload, TAG_LEN};
use zeroize::Zeroizing;

use crate::aead;
use crate::cookie;
use crate::hash::{blake2s, hkdf};
use crate::keys::{Ephemeral, LowOrder, SharedKey, StaticKey};

/// Hashed into every handshake.
pub const PROTOCOL_NAME: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";

/// Why a handshake ended. None of it is told to the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoiseError {
    /// A public key of low order: an attack, or a broken generator.
    LowOrder,
    /// A tag is wrong: wrong key, wrong psk, another prologue, or damage.
    Decrypt,
    /// The peer is authentic, but its payload has an undefined value.
    Payload,
    /// The answer is to another handshake.
    WrongIndex,
    /// The caller took a step out of order, or after a failure.
    Order,
}

impl From<LowOrder> for NoiseError {
    fn from(_: LowOrder) -> Self {
        Self::LowOrder
    }
}

/// What a finished handshake leaves: see [`crate::transport::Transport`].
#[derive(Clone)]
pub struct Keys {
    /// Seals what this side sends.
    pub send: Zeroizing<[u8; 32]>,
    /// Opens what this side receives.
    pub recv: Zeroizing<[u8; 32]>,
    /// Identical on both sides and different in every handshake (11.2): binds
    /// other proofs to this channel.
    pub handshake_hash: [u8; 32],
}

/// Noise's SymmetricState.
#[derive(Clone)]
struct Symmetric {
    chaining_key: Zeroizing<[u8; 32]>,
    key: Zeroizing<[u8; 32]>,
    hash: [u8; 32],
}

impl Symmetric {
    fn new(prologue: &Prologue, responder_public: &[u8; 32]) -> Self {
        // 37 characters do not fit the hash, so the name is hashed (5.2).
        let name = blake2s(&[PROTOCOL_NAME]);
        let mut new =
            Self { chaining_key: Zeroizing::new(name), key: Zeroizing::new([0; 32]), hash: name };
        new.mix_hash(&prologue.emit());
        new.mix_hash(responder_public);
        new
    }

    fn mix_hash(&mut self, data: &[u8]) {
        self.hash = blake2s(&[&self.hash, data]);
    }

    fn mix_key(&mut self, input: &[u8; 32]) {
        let [chaining_key, key, _] = hkdf(&self.chaining_key, input);
        (self.chaining_key, self.key) = (chaining_key, key);
    }

    /// Token `e`.
    fn mix_ephemeral(&mut self, public: &[u8; 32]) {
        self.mix_hash(public);
        self.mix_key(public);
    }

    /// Token `psk`.
    fn mix_psk(&mut self, psk: &[u8; 32]) {
        let [chaining_key, hash, key] = hkdf(&self.chaining_key, psk);
        (self.chaining_key, self.key) = (chaining_key, key);
        self.mix_hash(hash.as_slice());
    }

    /// `sealed` is `text` and its tag; `N` and `S` are checked to fit.
    fn encrypt<const N: usize, const S: usize>(
        &mut self,
        text: &[u8; N],
    ) -> Result<[u8; S], NoiseError> {
        const { assert!(S == N + TAG_LEN) };
        let mut sealed = [0; S];
        let (body, tag) = sealed.split_at_mut(N);
        body.copy_from_slice(text);
        tag.copy_from_slice(
            &aead::seal(&self.key, 0, &self.hash, body).ok_or(NoiseError::Decrypt)?,
        );
        self.mix_hash(&sealed);
        Ok(sealed)
    }

    fn decrypt<const N: usize, const S: usize>(
        &mut self,
        sealed: &[u8; S],
    ) -> Result<[u8; N], NoiseError> {
        const { assert!(S == N + TAG_LEN) };
        let (mut text, mut tag) = ([0; N], [0; TAG_LEN]);
        let (body_in, tag_in) = sealed.split_at(N);
        text.copy_from_slice(body_in);
        tag.copy_from_slice(tag_in);
        if !aead::open(&self.key, 0, &self.hash, &mut text, &tag) {
            return Err(NoiseError::Decrypt);
        }
        self.mix_hash(sealed);
        Ok(text)
    }

    /// `(initiator to responder, responder to initiator, hash)`.
    fn split(&self) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>, [u8; 32]) {
        let [first, second, _] = hkdf(&self.chaining_key, &[]);
        (first, second, self.hash)
    }
}

/// The client's side, between HS_INIT and HS_RESP.
pub struct Initiator {
    symmetric: Symmetric,
    local: StaticKey,
    ephemeral: Ephemeral,
    psk: Zeroizing<[u8; 32]>,
    index: u32,
}

impl Initiator {
    /// Begins a handshake with the board whose key is `board_public`. `index`
    /// is this side's name for the session. The HS_INIT returned is complete,
    /// cookie MAC included.
    ///
    /// # Errors
    /// [`NoiseError::LowOrder`] if the board's key is not a usable one.
    pub fn start(
        local: &StaticKey,
        board_public: &[u8; 32],
        psk: &[u8; 32],
        ephemeral: Ephemeral,
        prologue: &Prologue,
        payload: &InitPayload,
        index: u32,
    ) -> Result<(Self, HsInit), NoiseError> {
        let mut symmetric = Symmetric::new(prologue, board_public);
        symmetric.mix_ephemeral(ephemeral.public());
        symmetric.mix_key(ephemeral.0.agree(board_public)?.as_bytes());
        let s = symmetric.encrypt(local.public())?;
        symmetric.mix_key(local.agree(board_public)?.as_bytes());
        let mut init = HsInit {
            sender_index: index,
            client_nonce: prologue.client_nonce,
            e: *ephemeral.public(),
            s,
            payload: symmetric.encrypt(&payload.emit())?,
            mac: [0; 16],
        };
        init.mac = cookie::mac(&prologue.cookie, &init);
        let this =
            Self { symmetric, local: local.clone(), ephemeral, psk: Zeroizing::new(*psk), index };
        Ok((this, init))
    }

    /// Reads the board's answer.
    ///
    /// # Errors
    /// Any [`NoiseError`]; the handshake then still waits for the right answer.
    pub fn finish(&self, resp: &HsResp) -> Result<(RespPayload, Keys), NoiseError> {
        if resp.receiver_index != self.index {
            return Err(NoiseError::WrongIndex);
        }
        let mut symmetric = self.symmetric.clone();
        symmetric.mix_ephemeral(&resp.e);
        symmetric.mix_key(self.ephemeral.0.agree(&resp.e)?.as_bytes());
        symmetric.mix_key(self.local.agree(&resp.e)?.as_bytes());
        symmetric.mix_psk(&self.psk);
        let payload = RespPayload::parse(&symmetric.decrypt(&resp.payload)?);
        let (send, recv, handshake_hash) = symmetric.split();
        Ok((payload.ok_or(NoiseError::Payload)?, Keys { send, recv, handshake_hash }))
    }

    /// This side's name for the session.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }
}

/// Which step a [`Responder`] expects next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// [`Responder::step_es`].
    Es,
    /// [`Responder::step_ss`], once the client was found on the list.
    Ss,
    /// [`Responder::step_ee`], once the payload was found fresh.
    Ee,
    /// [`Responder::step_se_psk`].
    SePsk,
    /// None: the answer was made, or a step failed.
    Over,
}

/// The board's side, between HS_INIT and HS_RESP.
pub struct Responder {
    symmetric: Symmetric,
    init: HsInit,
    client_public: [u8; 32],
    ephemeral: Option<Ephemeral>,
    next: Step,
}

impl Responder {
    /// Takes in an HS_INIT whose cookie MAC was right. Hashing only.
    #[must_use]
    pub fn begin(board_public: &[u8; 32], prologue: &Prologue, init: &HsInit) -> Self {
        let mut symmetric = Symmetric::new(prologue, board_public);
        symmetric.mix_ephemeral(&init.e);
        Self { symmetric, init: *init, client_public: [0; 32], ephemeral: None, next: Step::Es }
    }

    /// The step to take next.
    #[must_use]
    pub const fn next(&self) -> Step {
        self.next
    }

    /// The HS_INIT this answers.
    #[must_use]
    pub const fn init(&self) -> &HsInit {
        &self.init
    }

    /// Enters `step`; a failure inside it then leaves [`Step::Over`].
    fn enter(&mut self, step: Step) -> Result<(), NoiseError> {
        let due = core::mem::replace(&mut self.next, Step::Over);
        if due == step { Ok(()) } else { Err(NoiseError::Order) }
    }

    /// Reveals the client's static public key, for the allow-list. It is not
    /// yet proven that the sender owns it. One key agreement.
    ///
    /// # Errors
    /// [`NoiseError`]; the handshake is over.
    pub fn step_es(&mut self, local: &StaticKey) -> Result<[u8; 32], NoiseError> {
        self.enter(Step::Es)?;
        self.symmetric.mix_key(local.agree(&self.init.e)?.as_bytes());
        self.client_public = self.symmetric.decrypt(&self.init.s)?;
        self.next = Step::Ss;
        Ok(self.client_public)
    }

    /// Proves that the sender owns the static key, and reads its payload.
    ///
    /// `static_static` is `local.agree(&client_public)`: the same for every
    /// handshake of this client, so the caller may keep it per list entry. One
    /// key agreement in the caller, or none.
    ///
    /// # Errors
    /// [`NoiseError`]; the handshake is over.
    pub fn step_ss(&mut self, static_static: &SharedKey) -> Result<InitPayload, NoiseError> {
        self.enter(Step::Ss)?;
        self.symmetric.mix_key(static_static.as_bytes());
        let text = self.symmetric.decrypt(&self.init.payload)?;
        let payload = InitPayload::parse(&text).ok_or(NoiseError::Payload)?;
        self.next = Step::Ee;
        Ok(payload)
    }

    /// Begins the answer with a fresh key pair. One key agreement.
    ///
    /// # Errors
    /// [`NoiseError`]; the handshake is over.
    pub fn step_ee(&mut self, ephemeral: Ephemeral) -> Result<(), NoiseError> {
        self.enter(Step::Ee)?;
        self.symmetric.mix_ephemeral(ephemeral.public());
        self.symmetric.mix_key(ephemeral.0.agree(&self.init.e)?.as_bytes());
        self.ephemeral = Some(ephemeral);
        self.next = Step::SePsk;
        Ok(())
    }

    /// Makes the answer and the keys. `index` is this side's name for the
    /// session. One key agreement.
    ///
    /// # Errors
    /// [`NoiseError`]; the handshake is over.
    pub fn step_se_psk(
        &mut self,
        psk: &[u8; 32],
        payload: &RespPayload,
        index: u32,
    ) -> Result<(HsResp, Keys), NoiseError> {
        self.enter(Step::SePsk)?;
        let ephemeral = self.ephemeral.take().ok_or(NoiseError::Order)?;
        self.symmetric.mix_key(ephemeral.0.agree(&self.client_public)?.as_bytes());
        self.symmetric.mix_psk(psk);
        let resp = HsResp {
            sender_index: index,
            receiver_index: self.init.sender_index,
            e: *ephemeral.public(),
            payload: self.symmetric.encrypt(&payload.emit())?,
        };
        let (recv, send, handshake_hash) = self.symmetric.split();
        Ok((resp, Keys { send, recv, handshake_hash }))
    }
}
