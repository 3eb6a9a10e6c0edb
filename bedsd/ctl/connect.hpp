#pragma once

#include "options.hpp"

#include <beds/client/amqp_client.hpp>
#include <beds/client/client.hpp>
#include <beds/config/settings.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace bedsctl {

/// A configuration file as bedsd reads it. Throws usage_error, with everything that is wrong in it.
beds::config::settings load(const std::filesystem::path& file);

/// Settings of the client from a URL or from a configuration file. Throws usage_error, with
/// everything that is wrong with the configuration.
beds::client::amqp_client_settings client_settings(const connection_options& given);

/// Which service of the configuration, or that it is a URL's.
std::string service_name(const connection_options& given);

/// Why RabbitMQ cannot be used: which service it is, where it was looked for, as whom, what it said
/// and what to look at.
std::string cannot_use(const beds::amqp::connection_settings& where, const std::string& service,
                       const std::string& why);

/// So long every database of the configuration remembers ids; with a URL that is not known, and it
/// is the default.
std::chrono::seconds inbox_window(const connection_options& given);

/// A client that is connected, or what is in the way.
struct connected {
    /// What the client last complained about, for example an exchange that is missing; "" when
    /// nothing.
    [[nodiscard]] std::string trouble() const;

    struct report;
    std::shared_ptr<report> seen;
    std::unique_ptr<beds::client::client> client; ///< null: `trouble()` says why
};

/// Ends at the first attempt that fails: a person waits for the answer.
connected connect(beds::client::amqp_client_settings settings, const std::string& service,
                  beds::core::deadline until);

} // namespace bedsctl
