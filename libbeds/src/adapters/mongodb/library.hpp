#pragma once

#include <beds/adapters/mongodb.hpp>

#include <memory>
#include <string_view>

namespace beds::adapters::mongodb {

/// Holds the driver initialised. It cannot be initialised again after its cleaning up, so the
/// process as a whole holds it too: cleaned up when the process ends and nobody uses it any more.
class library_use {
public:
    explicit library_use(driver_init init);

private:
    std::shared_ptr<const void> held_;
};

/// The driver that is linked, for example "1.23.1".
std::string_view driver_version();

} // namespace beds::adapters::mongodb
