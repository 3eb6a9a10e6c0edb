# Shared by the tests of the quickstart: TEST BUILD DIR. Sets: build, dir, scratch, failed; all else is below.
build=$1 dir=$2
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
for needed in rabbitmq-server mariadbd; do
    if ! command -v "$needed" >/dev/null; then
        echo "skipped: $needed is not installed"
        [ "${BEDS_REQUIRE_SERVERS-}" != 1 ] && exit 77 || exit 1
    fi
done

# Whatever ends this test, also SIGKILL: nothing stays running.
setsid bash -c "while kill -0 $$; do sleep 0.5; done; exec examples/quickstart/stop --dir '$dir'" \
    </dev/null >/dev/null 2>&1 &
watcher=$!
scratch=$(mktemp -d)
finish() {
    kill $watcher || true # it would meet the next test in the same folder
    examples/quickstart/stop --dir "$dir" >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap finish EXIT

failed=0
expect() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then echo "right: $what"; else echo "FAILED: $what"; failed=1; fi
}
says() { grep -qF -- "$1" <<<"$output" || { echo "$output"; return 1; }; }

# Which process and ports are the quickstart's, from the env and bedsd.pid of folder $1.
remember() {
    read -r pid _ <"$1/bedsd.pid"
    local uris='AMQP_URL|BEDS_MARIADB_URI|BEDS_MONGODB_PRIVATE_URI'
    ports=$(sed -nE "s/^export ($uris)=.*127\.0\.0\.1:([0-9]+).*/\2/p" "$1/env")
    [ "$(wc -w <<<"$ports")" -ge 2 ]
}
# Which of them are there.
alive() {
    local port
    grep -qs '^State:.[^Z]' "/proc/$pid/status" && echo "bedsd $pid"
    for port in $ports; do
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && echo "port $port"
    done
    true
}
ended() { [ -z "$(alive)" ] || { alive; return 1; }; }
all_alive() { [ "$(alive | wc -l)" = $((1 + $(wc -w <<<"$ports"))) ] || { alive; return 1; }; }
