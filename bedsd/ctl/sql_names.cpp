#include "sql_names.hpp"

namespace bedsctl {

std::string in_backticks(const std::string& identifier) {
    std::string made = "`";
    for (const char c : identifier) {
        made += c == '`' ? "``" : std::string(1, c);
    }
    return made + '`';
}

std::string in_statement(const std::string& object) {
    const auto dot = object.find('.');
    return dot == std::string::npos
               ? in_backticks(object)
               : in_backticks(object.substr(0, dot)) + '.' + in_backticks(object.substr(dot + 1));
}

} // namespace bedsctl
