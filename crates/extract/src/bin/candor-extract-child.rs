//! The child alone, for this crate's own tests of it; people get it as the hidden command `candor extract-child`.

fn main() -> std::process::ExitCode {
    candor_extract::child_main()
}
