//! Makes sure that the page's folder exists, so that a build without Node embeds an empty one, and that the page is
//! embedded anew when it was built anew.

fn main() {
    let dist = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/dist");
    if let Err(error) = std::fs::create_dir_all(dist) {
        println!("cargo::warning=web/dist cannot be created ({error}); the chat page is left out");
    }
    println!("cargo::rerun-if-changed={dist}");
}
