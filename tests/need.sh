# Sourced by scripts: need PACKAGE... installs the Debian packages that are missing, says so, and goes on.
# As root, or through sudo. Idempotent: with everything there it prints nothing and asks no network.

need() {
    local missing='' as_root='' package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing with apt-get:$missing" >&2
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "these packages are missing and this user cannot install them; as root: apt-get install$missing" >&2
            return 1
        }
        as_root=sudo
    fi
    $as_root apt-get -qq -o DPkg::Lock::Timeout=300 update
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        install --no-install-recommends $missing >&2
}

# What compiling the gateway needs besides Rust: a C compiler for the cryptography, a linker, and alsa-lib for sound cards.
need_build() {
    command -v cargo >/dev/null || {
        echo "cargo is missing: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer first" >&2
        return 1
    }
    need gcc libc6-dev libasound2-dev pkg-config
}
