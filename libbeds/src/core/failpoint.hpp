#pragma once

/// Moments of the data path at which a test ends, stops or delays this process: only in builds with
/// the CMake option BEDS_FAILPOINTS, never in a release. Without the option the macros are nothing.
///
///     BEDS_FAILPOINTS="after_commit:hit=3:kill,after_deliver:if_message_id=w7:abort"
///
/// is read from the environment when the program starts; text that is not understood ends it. Each
/// entry is the name of a point, conditions and one action, with colons between them:
///
/// - hit=N: only the Nth time (of those that meet the other condition); else every time
/// - if_message_id=ID: only for the message with this id, at points that know it: after_deliver
/// - kill, abort: SIGKILL, std::abort()
/// - stop: SIGSTOP; the test does what it wants meanwhile and sends SIGCONT
/// - sleep=MS: milliseconds
/// - error=CODE: throws core::error with this code of core::errc
/// - throw: throws std::runtime_error, as a defect would
///
/// The points, in the order in which a message meets them: after_deliver, after_validate, db_begin,
/// effect_done, inbox_written, before_commit, after_commit, reply_published, reply_confirmed,
/// before_ack, after_ack. after_deliver is met by each message, the others by each batch or
/// transaction; a read meets all of them, too.
#ifdef BEDS_FAILPOINTS

#include <string_view>

namespace beds::core::failpoint {

/// Whether the environment names any point. False before this file's own initialisation.
extern const bool armed;

/// Acts when the environment says so. Any thread.
void hit(std::string_view name, std::string_view message_id = {});

} // namespace beds::core::failpoint

#define BEDS_FAILPOINT_OF(name, message_id)                                                        \
    do {                                                                                           \
        if (::beds::core::failpoint::armed) {                                                      \
            ::beds::core::failpoint::hit(#name, message_id);                                       \
        }                                                                                          \
    } while (false)
#define BEDS_FAILPOINT(name) BEDS_FAILPOINT_OF(name, {})

#else

#define BEDS_FAILPOINT_OF(name, message_id) static_cast<void>(0)
#define BEDS_FAILPOINT(name) static_cast<void>(0)

#endif
