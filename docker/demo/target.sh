#!/bin/sh
# A private web server: a greeting and, if a size in MiB is given, a file of random bytes with its
# SHA-256.
set -eu

mkdir -p /tmp/www
cd /tmp/www
echo "hello from the private network" >hello
if [ $# -gt 0 ]; then
    head -c "${1}m" /dev/urandom >file
    sha256sum <file >file.sha256
fi
exec busybox httpd -f -p 80 -h /tmp/www
