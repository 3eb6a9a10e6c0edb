#include "adapters/mongodb/library.hpp"

#include "adapters/mongodb/mongoc_include.hpp"

namespace beds::adapters::mongodb {
namespace {

struct initialised_library {
    initialised_library() {
        mongoc_init();
        // It would print to standard error.
        mongoc_log_set_handler(nullptr, nullptr);
    }
    ~initialised_library() { mongoc_cleanup(); }
    initialised_library(const initialised_library&) = delete;
    initialised_library& operator=(const initialised_library&) = delete;
};

} // namespace

library_use::library_use(driver_init init) {
    if (init == driver_init::by_beds) {
        static const auto once = std::make_shared<initialised_library>();
        held_ = once;
    }
}

std::string_view driver_version() {
    return mongoc_get_version();
}

} // namespace beds::adapters::mongodb
