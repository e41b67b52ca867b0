#!/usr/bin/env bash
# Install the system packages that some tests talk to, where that can be done:
#
#     tools/system_packages.sh
#
# An MQTT broker, GStreamer's RTSP server and its Python loader, ffmpeg, a browser with its driver, Prometheus with its
# promtool. For a machine of continuous integration: only as root on Debian or Ubuntu; elsewhere, or where a package
# cannot be had, the tests that need it are skipped and say which package that is. SYSTEM_PACKAGES=no leaves the system
# as it is.
set -euo pipefail

wanted=(
    mosquitto
    python3-gi python3-gst-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-tools gstreamer1.0-python3-plugin-loader
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly gstreamer1.0-plugins-bad
    gstreamer1.0-libav
    ffmpeg chromium chromium-driver prometheus
)
seconds=300  # for all of them together

if [ "${SYSTEM_PACKAGES:-auto}" = no ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "System packages are left as they are; tests that lack one are skipped."
    exit 0
fi

missing=()
for package in "${wanted[@]}"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

export DEBIAN_FRONTEND=noninteractive
quiet="-qq -o DPkg::Lock::Timeout=60 -o Acquire::Retries=2"
echo "Installing system packages for tests: ${missing[*]}"
timeout 60 apt-get update $quiet >/dev/null 2>&1 || true
# one by one: a package that this system does not have must not keep the others away
for package in "${missing[@]}"; do
    left=$((seconds - SECONDS))
    if [ "$left" -le 0 ] || ! timeout "$left" apt-get install $quiet --yes --no-install-recommends "$package" >/dev/null 2>&1; then
        echo "  $package is not to be had; tests that need it are skipped"
    fi
done
