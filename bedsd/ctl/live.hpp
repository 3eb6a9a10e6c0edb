#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/config/settings.hpp>
#include <beds/core/deadline.hpp>

#include <memory>
#include <string>

namespace beds::core {
class supervisor;
}

namespace bedsctl {

/// A session with a database of the configuration, for questions about what it holds.
struct live_database {
    std::string place; ///< which service that is, where it is, as whom; for messages
    std::shared_ptr<beds::adapters::adapter> adapter;
    std::shared_ptr<beds::core::supervisor> supervisor;
    std::unique_ptr<beds::adapters::session> session;
};

/// Whether BEDS's own table is of interest. One that nodes make themselves (`create_tables`) is
/// not: it may not be there yet.
enum class looks_at { objects, inbox };

/// With the node's own account. Writes nothing, so that no inbox is needed. Throws
/// beds::core::error when it cannot be reached, which says which service of the configuration that
/// is, where it was looked for, what the server said and what to look at; `unsupported` when this
/// build lacks the database's adapter.
live_database connect_live(const std::string& name, beds::config::rel_service_settings service,
                           beds::core::deadline until, looks_at what = looks_at::objects);
live_database connect_live(const std::string& name, beds::config::rec_service_settings service,
                           beds::core::deadline until, looks_at what = looks_at::objects);

} // namespace bedsctl
