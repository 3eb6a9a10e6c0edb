# Shared by run and stop. Sets: here, top, run_dir, servers, mark.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
run_dir=$here/.run
servers=$top/tests/support/servers
mark=.beds-quickstart

# What `. env` of this or another run left behind in the caller's shell is not the caller's own.
if [ "${BEDS_MONGODB_URI-}" = "${BEDS_MONGODB_PRIVATE_URI-}" ]; then
    unset BEDS_MONGODB_URI BEDS_MONGODB_TLS_URI
fi

# As a shell reads it back, in quotes.
quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# Only a folder that `run` made is ever removed.
ours() {
    [ -e "$run_dir/$mark" ] || [ -z "$(ls -A "$run_dir")" ] || {
        echo "quickstart: $run_dir exists and is not a folder of the quickstart" >&2
        exit 2
    }
}

# Clock ticks since boot at which process $1 began: with it a pid names one process for good.
started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    set -- ${stat##*)}
    [ "$1" != Z ] && echo "${20}"
}

# The pid of the bedsd that this quickstart started, if it still runs.
bedsd_pid() {
    local pid started
    read -r pid started 2>/dev/null <"$run_dir/bedsd.pid" || return 1
    # Without a time it had ended before it was asked for one.
    [ -n "$started" ] && [ "$(started_at "$pid")" = "$started" ] && echo "$pid"
}

# Ends bedsd (SIGTERM drains; SIGKILL after 15 s) and the servers. Their files stay.
stop_all() {
    local pid i
    if pid=$(bedsd_pid); then
        kill -TERM "$pid" 2>/dev/null || true
        for i in $(seq 150); do bedsd_pid >/dev/null || break; sleep 0.1; done
        if pid=$(bedsd_pid); then
            echo "bedsd did not stop within 15 s: killed" >&2
            kill -KILL "$pid" 2>/dev/null || true
        else
            echo "bedsd stopped" >&2
        fi
    fi
    rm -f "$run_dir/bedsd.pid"
    [ ! -d "$run_dir/servers" ] || "$servers" stop --dir "$run_dir/servers"
}
