#!/bin/sh
# /usr/local/bin/open-door.sh at the PBX: asks the gateway to open one door, and ends with 0 if it was opened.
# doorline.header has one line, Authorization: Bearer TOKEN, and is for the user of Asterisk alone (chmod 600); doorline.pem is
# the certificate of the gateway's page, or of who signed it. docs/pbx.md says how to get both.
exec curl --silent --show-error --fail --max-time 5 --cacert "${DOORLINE_CERT:-/etc/asterisk/doorline.pem}" \
    --header "@${DOORLINE_HEADER:-/etc/asterisk/doorline.header}" --json '{}' --output /dev/null \
    "${DOORLINE_API:-https://doorline.lan:8443/api/v1}/doors/entrance/open"
