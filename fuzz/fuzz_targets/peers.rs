//! What strangers send over QUIC: envelopes, pull requests, answers.
#![no_main]

use hearth::protocol::messages::PeerStatus;
use hearth::protocol::p2p::{
    ActivationPush, Envelope, Route, Serializer, decode, decode_pull, decode_response,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Envelope::parse(data);
    let _ = decode_pull(data);
    let (_, tensor) = decode_response(data);
    assert!(tensor.len() <= data.len());
    // Past the routing, so that no luck is needed to find a tag.
    for serializer in [Serializer::Json, Serializer::MessagePack] {
        let _ = decode::<PeerStatus>(&Envelope { route: Route::PeerStatus, serializer, body: data });
        let envelope = Envelope { route: Route::ActivationPush, serializer, body: data };
        match ActivationPush::decode(&envelope) {
            Ok(push) => assert!(push.tensor_bytes.len() <= data.len()),
            Err(error) => assert!(error.to_string().chars().count() < 400),
        }
    }
});
