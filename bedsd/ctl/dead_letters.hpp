#pragma once

#include "exit_code.hpp"

#include <beds/amqp/message.hpp>
#include <beds/amqp/settings.hpp>
#include <beds/core/clock.hpp>
#include <beds/core/deadline.hpp>

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bedsctl {

enum class format;

enum class letter_task {
    list,
    show,
    replay, ///< sent again to where it was sent first
    drop,
};

enum class shown_values { masked, revealed };

enum class letter_ids {
    kept, ///< what was applied is not applied again, and what was refused for good is refused again
    renewed,
};

/// The code of a letter that RabbitMQ gave up, where nodes write theirs.
inline constexpr std::string_view rabbitmq_code = "(RabbitMQ)";

/// What to do with which dead letters.
struct letter_options {
    letter_task task = letter_task::list;
    std::vector<std::string> ids = {}; ///< message ids or event ids
    std::string code = {};             ///< those with this code
    std::string template_name = {};    ///< those for this template
    bool all = false;
    bool each = false; ///< `list`: one line for each, not for each cause
    shown_values values = shown_values::masked;
    letter_ids replay_ids = letter_ids::kept;
    bool may_happen_twice = false; ///< `replay`: also what may have been applied before
    /// `replay`: from then on; else the time that templates give. Those of the senders are over.
    std::optional<std::chrono::milliseconds> deadline = {};
    /// So long an id is known for certain. Older letters are a danger.
    std::chrono::seconds inbox_window{std::chrono::hours{24}};
    std::uint16_t most = 10'000; ///< letters that are looked at, the oldest first
    std::string service = {};    ///< whose letters they are, for messages
};

/// One dead letter without its body.
struct letter {
    std::string id = {}; ///< message id, or the event's when it has none
    std::string event = {};
    std::string code = {};
    std::string effect = {};     ///< of all of it: `none`, `applied`, `partly`, `unknown`
    std::string operations = {}; ///< of an envelope: what became of each, as its node told it
    std::string guarantee = {};  ///< `at_least_once`, when something that was done says so
    std::string detail = {};
    std::string routing_key = {}; ///< as the sender published it
    std::string principal = {};
    std::string history = {};
    std::int64_t attempts = 0;
    std::size_t bytes = 0;
    /// Of its first failure; nothing when that is not known.
    std::optional<beds::core::system_time> since = {};
    /// The latest that its sender gave.
    std::optional<beds::core::system_time> deadline = {};
    bool never_taken = false; ///< by a node: too large for it
};

/// `own_user`: headers of nodes are believed when they come from this account.
letter read_letter(const beds::amqp::delivery& from, std::string_view own_user);

/// Chosen by ids, code, template, or all.
bool is_chosen(const letter& one, const letter_options& by);

/// The request with every value of a key, a condition, a row or an argument replaced, because dead
/// letters hold what people may not see who look after queues. What is no JSON object is only
/// counted.
std::string masked_body(std::string_view body);

/// What is sent again of a request, and how.
struct restated {
    std::string body = {};       ///< empty: as it is
    std::string message_id = {}; ///< empty: as it is
    std::size_t operations = 0;  ///< that are sent
    std::size_t left_out = 0;    ///< that were done
    std::string refused = {};    ///< why it is not sent at all; empty: it is
};

/// What was not done, under ids made from its own ones: what was done is left out. Only where it is
/// sure of every operation what became of it; or else what may have been done is sent, too, and may
/// happen twice.
restated under_new_ids(const letter& one, std::string_view body, bool may_happen_twice);

/// The latest deadline that its sender gave, in the header or in the body.
std::optional<beds::core::system_time> own_deadline(const beds::amqp::delivery& from);

/// The body without the deadlines of its operations, which are over, when it has any.
std::optional<std::string> without_deadlines(std::string_view body);

/// The id under which it is sent again then: made from its own, so that two letters of one request,
/// or one that is sent twice, are one request.
std::string renewed_id(std::string_view id);

/// Why it could take effect a second time when it is sent again; empty: it cannot.
std::string danger_of(const letter& one, std::chrono::seconds inbox_window,
                      beds::core::system_time now);

/// Takes the dead letters, does what is asked, and gives the others back in their order. Nobody
/// else reads the queue meanwhile. A letter is removed after RabbitMQ has confirmed the message
/// that is sent in its place.
exit_code handle_dead_letters(const beds::amqp::connection_settings& amqp,
                              std::string_view queue_tag, const letter_options& asked,
                              format output, std::ostream& out, std::ostream& err,
                              beds::core::deadline until);

} // namespace bedsctl
