#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/client/client.hpp>
#include <beds/factory/factory.hpp>
#include <beds/observe/log.hpp>
#include <beds/templates/registry.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace beds::client {

struct local_client_settings {
    /// Threads, each with a database session per connection that is used.
    unsigned workers = 2;
    std::string principal = "local"; ///< under which writes are remembered
    std::size_t max_outstanding = 65'536;
    std::size_t max_batch = 256; ///< operations that one worker takes together
    observe::log_sink log = {};
    factory::settings factory = {};
};

/// A client that works in this process: no RabbitMQ, the same templates, checks and results. For
/// programs that embed BEDS; templates and adapters come from a node (`registry()`, `adapters()`)
/// or are made by hand.
std::unique_ptr<client> make_local_client(std::shared_ptr<const templates::registry> registry,
                                          std::vector<std::shared_ptr<adapters::adapter>> adapters,
                                          local_client_settings settings = {});

} // namespace beds::client
