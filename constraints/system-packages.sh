#!/usr/bin/env bash
# The one place that names Debian packages. Installs what is missing where the user may,
# and otherwise says with which command to do it.
#
#   system-packages.sh build     to install the Python environments (the search is compiled)
#   system-packages.sh kenlm     to compile lmplz and build_binary
#   system-packages.sh speech    to make the demo's synthetic speech
#   system-packages.sh test      to run the tests
#
# Several at once are one command to the user who must give it.
set -euo pipefail

# PROGRAM=PACKAGE where the program may come from elsewhere.
declare -A packages=(
    [build]="g++ cmake zlib1g-dev"
    [kenlm]="g++ cmake libboost-program-options-dev libboost-system-dev libboost-thread-dev
             libboost-test-dev zlib1g-dev libbz2-dev liblzma-dev libeigen3-dev"
    [speech]="espeak-ng flite"
    [test]="ffmpeg=ffmpeg chromium=chromium prometheus=prometheus promtool=prometheus
            node=nodejs npm=npm openssl=openssl"
)
wanted=""
for purpose; do
    wanted+=" ${packages[$purpose]}"
done
python=${PYTHON:-python3}

# A distribution's Python comes in parts; one that was compiled or downloaded is whole.
if ! "$python" -c 'import ensurepip, os, sysconfig
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null; then
    wanted+=" python3-dev python3-venv"
fi

if ! command -v dpkg-query >/dev/null; then
    echo "not a Debian-like system: make sure that you have the equivalents of: $wanted" >&2
    exit 0
fi

is_installed() {
    if [[ $1 == *=* ]]; then
        command -v "${1%=*}" >/dev/null
    else
        dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'
    fi
}

missing=()
for package in $(printf '%s\n' $wanted | sort -u); do
    is_installed "$package" || missing+=("${package#*=}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
    root=(env DEBIAN_FRONTEND=noninteractive)
elif sudo -n true 2>/dev/null; then
    root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
else
    echo "system packages are missing. Install them, then run make again:" >&2
    echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
echo "installing system packages: ${missing[*]}" >&2
"${root[@]}" apt-get update -qq
"${root[@]}" apt-get install -qq -y --no-install-recommends \
    "${missing[@]}" >/dev/null
