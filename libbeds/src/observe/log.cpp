#include <beds/observe/log.hpp>

namespace beds::observe {

std::string_view to_string(level value) {
    switch (value) {
    case level::debug:
        return "debug";
    case level::info:
        return "info";
    case level::warning:
        return "warning";
    case level::error:
        return "error";
    }
    return "error";
}

} // namespace beds::observe
