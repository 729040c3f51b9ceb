#!/usr/bin/env bash
# Builds the chat page into web/dist, where a source is newer than what is there. Needs Node with npm.
set -euo pipefail
cd "$(dirname "$0")/../web"
built=dist/index.html
if [ -e "$built" ] && [ -z "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -newer "$built" -print -quit)" ]; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "Node with npm is needed to build the chat page: install it (nodejs.org, or apt-get install nodejs npm)." >&2
    echo "The program builds without it, and then serves the API only: cargo build --release && target/release/candor serve" >&2
    exit 1
fi
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "installing the page's libraries"
    npm ci --no-audit --no-fund --loglevel=error
fi
echo "building the page"
npm run --silent build
touch "$built"
# The page is embedded when this file is compiled; nothing else tells cargo that the page is new.
touch ../crates/server/src/page.rs
