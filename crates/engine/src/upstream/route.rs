//! Which replica a request goes to: rendezvous hashing (Thaler & Ravishankar 1998) with weights (Schindelhauer &
//! Schomaker 2005). Equal keys prefer equal replicas, so that a conversation finds its prefix cached; when a replica
//! goes away only its own keys move. Pure: the same in every process and version.

use candor_wire::chat::Message;

use crate::{GenerateRequest, Prompt};

/// A key's hash: its beginning alone, so that all turns of a conversation share it.
pub(super) fn key(request: &GenerateRequest) -> u64 {
    if let Some(affinity) = &request.affinity {
        return hash(&[affinity.as_bytes()]);
    }
    match &request.prompt {
        Prompt::Chat { messages, .. } => opening(messages),
        Prompt::Text(text) => {
            let bytes = text.as_bytes();
            hash(&[&bytes[..bytes.len().min(512)]])
        }
        Prompt::Tokens(ids) => {
            let bytes: Vec<u8> = ids.iter().take(128).flat_map(|id| id.to_le_bytes()).collect();
            hash(&[&bytes])
        }
    }
}

/// Everything up to the first turn of the user: later turns change nothing.
fn opening(messages: &[Message]) -> u64 {
    let end = messages
        .iter()
        .position(|m| m.role == "user")
        .map_or(messages.len(), |at| at + 1);
    let texts: Vec<String> = messages[..end]
        .iter()
        .map(|m| {
            m.content
                .as_ref()
                .map(candor_wire::chat::Content::text)
                .unwrap_or_default()
        })
        .collect();
    let parts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    hash(&parts)
}

/// FNV-1a over the parts and their lengths, then a finaliser that spreads it over all 64 bits.
pub(super) fn hash(parts: &[&[u8]]) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        for byte in part.iter().chain(&(part.len() as u64).to_le_bytes()) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(state)
}

/// The finaliser of splitmix64 (Steele, Lea & Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Indices of the replicas, best first. `replicas`: hash of the name, weight.
pub(super) fn order(key: u64, replicas: impl Iterator<Item = (u64, f64)>) -> Vec<usize> {
    let mut scored: Vec<(f64, usize)> = replicas
        .enumerate()
        .map(|(index, (name, weight))| {
            // Uniform in (0, 1): 53 bits, shifted by a half so that 0 and 1 cannot be.
            let uniform = ((mix(key ^ name) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            (-weight / uniform.ln(), index)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candor_wire::chat::Content;

    use super::*;

    fn first(key: u64, replicas: &[(u64, f64)]) -> u64 {
        replicas[order(key, replicas.iter().copied())[0]].0
    }

    fn message(role: &str, text: &str) -> Message {
        Message {
            role: role.into(),
            content: Some(Content::Text(text.into())),
            ..Message::default()
        }
    }

    #[test]
    fn a_replica_that_goes_away_moves_only_its_own_keys() {
        let all: Vec<(u64, f64)> = ["a", "b", "c", "d"]
            .iter()
            .map(|name| (hash(&[name.as_bytes()]), 1.0))
            .collect();
        for key in 0..1000u64 {
            let before = first(mix(key), &all);
            let after = first(mix(key), &all[..3]);
            assert!(before == after || before == all[3].0);
        }
    }

    #[test]
    fn shares_follow_the_weights() {
        let replicas = [(hash(&[b"a"]), 3.0), (hash(&[b"b"]), 1.0)];
        let count = (0..40_000u64)
            .filter(|key| first(mix(*key), &replicas) == replicas[0].0)
            .count();
        // A binomial of 40000 with p = 3/4 has a standard deviation of 87; four of them.
        assert!(count.abs_diff(30_000) < 350, "{count}");
    }

    #[test]
    fn a_conversation_keeps_its_key_as_it_grows() {
        let short = [message("system", "be brief"), message("user", "hello")];
        let long = [
            short[0].clone(),
            short[1].clone(),
            message("assistant", "hi"),
            message("user", "and now?"),
        ];
        assert_eq!(opening(&short), opening(&long));
        assert_ne!(opening(&short), opening(&[short[0].clone(), message("user", "bye")]));
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
