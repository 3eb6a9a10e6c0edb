#pragma once

#include <beds/client/request.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// From the words of a command line to an operation of the protocol.
namespace bedsctl {

/// A mistake in the command line; its message says what to write instead.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The words after `bedsctl call`, as they were given.
struct call_arguments {
    std::string template_name = {};
    std::string op = {};                   ///< a verb of the protocol, or the name of a call
    std::vector<std::string> members = {}; ///< `name=text`, `name:=json`
    std::vector<std::string> where = {};   ///< `--where`, each as a member
    std::vector<std::string> set = {};     ///< `--set`
    std::vector<std::string> inc = {};     ///< `--inc`
    std::vector<std::string> expect = {};  ///< `--if`
    std::vector<std::string> fields = {};
    std::vector<std::string> returning = {};
    std::vector<std::string> sort = {};
    std::optional<std::uint32_t> limit = {};
    std::string after = {};
};

/// `name=text` is a string, `name:=json` any JSON value; the name ends at the first `=`. Throws
/// usage_error.
beds::client::value::member parse_member(std::string_view word);

/// Where the members go depends on the operation: the key and the changes of an update, the
/// conditions of a find, the row of an insert, the arguments of a call. Throws usage_error for what
/// cannot be meant; whether the template has the fields is for the node to say.
beds::client::operation make_operation(const call_arguments& given);

/// How to write a value that was given as text and refused, when it is a number or a truth and the
/// field takes no text; else "".
std::string json_instead(const call_arguments& given, std::string_view field,
                         std::string_view detail);

/// "; did you mean 'fetch'?" when `op` is nearly a verb, else "".
std::string suggest_verb(std::string_view op);

} // namespace bedsctl
