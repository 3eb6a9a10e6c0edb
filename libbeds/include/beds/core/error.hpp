#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace beds::core {

/// Why something in BEDS itself failed. What happens to a caller's operation is not an error of
/// this kind but a result with a code (outcome.hpp).
enum class errc {
    invalid_configuration = 1, ///< a setting is missing, has the wrong type or breaks its bounds
    invalid_template,          ///< a template is refused; the message names file, line and key
    unknown_name,   ///< no adapter, template or step of that name; the message lists the known ones
    duplicate_name, ///< a name was registered twice on one node
    unreachable,    ///< a server could not be reached, or the connection to it broke
    refused,        ///< a server answered and said no: credentials, rights, limits
    topology_conflict, ///< a queue or exchange exists with other arguments, or is missing
    deadline_exceeded, ///< the deadline passed first
    outcome_unknown,   ///< it was sent, and the connection broke before the answer came
    unsupported,       ///< this server or this build cannot do it; the message says what is needed
    cancelled,         ///< the object was stopped while the call waited
    protocol,          ///< the other side sent what the protocol does not allow
    internal,          ///< a defect of BEDS
    limit_exceeded,    ///< larger, or more, than BEDS takes
};

const std::error_category& beds_category();
std::error_code make_error_code(errc code);

/// Who failed.
enum class error_origin { beds, rabbitmq, mariadb, mongodb };

/// May the connection or session that failed be used again?
enum class handle_state { usable, broken };

/// A place in the source. As std::source_location, which clang 14 does not have.
struct source_place {
    const char* file = "";
    const char* function = "";
    std::uint32_t line = 0;

    static constexpr source_place current(const char* file = __builtin_FILE(),
                                          const char* function = __builtin_FUNCTION(),
                                          std::uint32_t line = __builtin_LINE()) {
        return {file, function, line};
    }
};

struct error_context {
    error_origin origin = error_origin::beds;
    handle_state handle = handle_state::usable;
    int native_code = 0;          ///< the server's or C library's own number; 0: none
    std::string server_message{}; ///< the server's words; untrusted, may hold user data: never sent
                                  ///< to clients
    source_place where = source_place::current();
};

/// The one exception type of BEDS: thrown at set-up and for the exceptional. Three questions have
/// an answer for every one of them: who failed (`origin`), is the handle still usable (`handle`),
/// and is the outcome unknown (`code() == errc::outcome_unknown`).
class error : public std::system_error {
public:
    error(errc code, const std::string& message, error_context context = {});

    [[nodiscard]] error_origin origin() const { return context_.origin; }
    [[nodiscard]] handle_state handle() const { return context_.handle; }
    [[nodiscard]] int native_code() const { return context_.native_code; }
    [[nodiscard]] const std::string& server_message() const { return context_.server_message; }
    [[nodiscard]] const source_place& where() const { return context_.where; }
    /// The message alone, without the category's text.
    [[nodiscard]] const std::string& message() const { return message_; }

private:
    error_context context_;
    std::string message_;
};

/// "; did you mean 'x'?" when one of `known` is close to `given`, else "". For every message about
/// an unknown name, field or key.
std::string did_you_mean(std::string_view given, const std::string* known, std::size_t count);

template <class Range>
std::string did_you_mean(std::string_view given, const Range& known) {
    return did_you_mean(given, known.data(), known.size());
}

} // namespace beds::core

template <>
struct std::is_error_code_enum<beds::core::errc> : std::true_type {};
