#pragma once

#include "adapters/mongodb/mongoc_include.hpp"

#include <beds/core/deadline.hpp>

#include <chrono>
#include <string>

namespace beds::adapters::mongodb {

/// What a session and the streams of its client tell each other. The client calls its streams on
/// the session's own thread.
struct stream_control {
    // From the session:
    core::deadline until = core::deadline::never(); ///< no call of a stream lasts longer
    std::chrono::milliseconds connect_timeout{5000};
    bool tls = false;
    mongoc_ssl_opt_t* tls_options = nullptr;

    // From the streams; the session clears them before a command:
    /// A whole message went out and its answer was waited for. While this is false, no command can
    /// have reached the server.
    bool asked = false;
    bool timed_out = false; ///< `until` passed during a call
    std::string problem;    ///< of the last connect or handshake that failed
};

/// For `mongoc_client_set_stream_initiator`; `control` is a `stream_control`. The driver's own
/// streams know a time-out for each read only, fixed when the client is made, and do not show their
/// descriptor: against a server that stands still, neither ends a call by a deadline.
mongoc_stream_t* open_stream(const mongoc_uri_t* uri, const mongoc_host_list_t* host, void* control,
                             bson_error_t* error);

} // namespace beds::adapters::mongodb
