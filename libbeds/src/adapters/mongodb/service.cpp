#include "adapters/mongodb/service.hpp"

#include <beds/core/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace beds::adapters::mongodb {
namespace {

constexpr std::size_t longest_application_name = 128;

[[noreturn]] void refuse(const std::string& connection, const std::string& why) {
    throw core::error(core::errc::invalid_configuration, "rec_services." + connection + ": " + why,
                      {.origin = core::error_origin::mongodb});
}

std::string content_of(const std::string& connection, const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    if (!in) {
        refuse(connection, "cannot read " + file.string());
    }
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// The driver wants certificate and key in one file; a file in memory keeps the key off the disk.
int join_in_memory(const std::string& connection, const std::string& content) {
    const int descriptor = memfd_create("beds-mongodb-tls", MFD_CLOEXEC);
    if (descriptor < 0) {
        refuse(connection, std::string{"cannot join certificate and key: "} + std::strerror(errno));
    }
    std::size_t written = 0;
    while (written < content.size()) {
        const auto now = write(descriptor, content.data() + written, content.size() - written);
        if (now <= 0) {
            ::close(descriptor);
            refuse(connection, "cannot join certificate and key");
        }
        written += static_cast<std::size_t>(now);
    }
    return descriptor;
}

uri_handle from_settings(const std::string& connection,
                         const config::rec_service_settings& settings) {
    const bool one_path = settings.host.starts_with('/');
    uri_handle made;
    if (one_path) {
        // A path in a connection string has its slashes escaped.
        std::string escaped;
        for (const char c : settings.host) {
            escaped += c == '/' ? std::string{"%2F"} : std::string(1, c);
        }
        made.reset(mongoc_uri_new(("mongodb://" + escaped).c_str()));
    } else {
        const bool bare = settings.host.find(':') != std::string::npos && settings.host[0] != '[';
        const auto host = bare ? '[' + settings.host + ']' : settings.host; // IPv6
        made.reset(mongoc_uri_new_for_host_port(host.c_str(), settings.port));
    }
    if (!made) {
        refuse(connection, "host and port cannot be used");
    }
    if (!settings.user.empty()) {
        if (!mongoc_uri_set_username(made.get(), settings.user.c_str()) ||
            !mongoc_uri_set_password(made.get(), settings.pass.reveal().c_str()) ||
            !mongoc_uri_set_auth_source(made.get(), settings.auth_source.c_str())) {
            refuse(connection, "user, pass or auth_source is not valid UTF-8");
        }
    }
    if (!settings.replica_set.empty()) {
        mongoc_uri_set_option_as_utf8(made.get(), MONGOC_URI_REPLICASET,
                                      settings.replica_set.c_str());
    }
    return made;
}

std::vector<std::uint8_t> bytes_of(const bson_t& from) {
    const auto* const data = bson_get_data(&from);
    return {data, data + from.len};
}

const char* text_option(const mongoc_uri_t* uri, const char* name) {
    return mongoc_uri_get_option_as_utf8(uri, name, "");
}

} // namespace

service::service(std::string connection, const config::rec_service_settings& settings,
                 driver_init init)
    : library_(init), connection_(std::move(connection)), database_(settings.database),
      connect_timeout_(settings.connect_timeout), inbox_(settings.inbox) {
    const auto may = config::parse_coalesce(settings.coalesce);
    if (!may) {
        refuse(connection_,
               "coalesce: not auto, off or a list of fetch, find, insert, update, delete");
    }
    may_ = *may;
    if (database_.empty()) {
        refuse(connection_, "database is required");
    }
    if (!settings.uri.empty()) {
        bson_error_t error{};
        uri_.reset(mongoc_uri_new_with_error(settings.uri.reveal().c_str(), &error));
        if (!uri_) {
            // The driver's words may repeat parts of the string, which holds a password.
            refuse(connection_, "uri: not a MongoDB connection string");
        }
        constexpr std::array unsafe{MONGOC_URI_TLSINSECURE, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES,
                                    MONGOC_URI_TLSALLOWINVALIDHOSTNAMES};
        for (const char* const option : unsafe) {
            if (mongoc_uri_get_option_as_bool(uri_.get(), option, false)) {
                refuse(connection_, std::string{"uri: "} + option +
                                        " is refused: certificates are always verified");
            }
        }
        const auto* const concern = mongoc_uri_get_write_concern(uri_.get());
        if (concern != nullptr && !mongoc_write_concern_is_acknowledged(concern)) {
            refuse(connection_, "uri: w=0 is refused: every write needs an answer");
        }
        tls_ = mongoc_uri_get_tls(uri_.get());
        ca_file_ = text_option(uri_.get(), MONGOC_URI_TLSCAFILE);
        own_file_ = text_option(uri_.get(), MONGOC_URI_TLSCERTIFICATEKEYFILE);
        own_password_ = text_option(uri_.get(), MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD);
    } else {
        uri_ = from_settings(connection_, settings);
        tls_ = settings.tls.enabled;
        verify_ = settings.tls.verify;
        ca_file_ = settings.tls.ca.string();
    }
    if (tls_ && !ca_file_.empty() && access(ca_file_.c_str(), R_OK) != 0) {
        refuse(connection_, "cannot read " + ca_file_);
    }
    if (settings.uri.empty()) {
        if (tls_ && !settings.tls.cert.empty()) {
            own_memory_file_ =
                join_in_memory(connection_, content_of(connection_, settings.tls.cert) + "\n" +
                                                content_of(connection_, settings.tls.key));
            own_file_ = "/proc/self/fd/" + std::to_string(own_memory_file_);
        }
    }
    {
        owned_bson members;
        const auto* const concern = mongoc_uri_get_write_concern(uri_.get());
        // Appending caches the concern's document, hence a copy.
        const std::unique_ptr<mongoc_write_concern_t, destroyer<mongoc_write_concern_destroy>> copy{
            concern != nullptr ? mongoc_write_concern_copy(concern) : mongoc_write_concern_new()};
        if (mongoc_write_concern_is_default(copy.get())) {
            // What is answered as applied survives a crash of the server and a change of the
            // primary.
            mongoc_write_concern_set_w(copy.get(), MONGOC_WRITE_CONCERN_W_MAJORITY);
            mongoc_write_concern_set_journal(copy.get(), true);
        }
        mongoc_write_concern_append(copy.get(), members.get());
        write_members_ = bytes_of(*members.get());
    }
    {
        owned_bson members;
        const auto* const concern = mongoc_uri_get_read_concern(uri_.get());
        if (concern != nullptr && mongoc_read_concern_get_level(concern) != nullptr) {
            const std::unique_ptr<mongoc_read_concern_t, destroyer<mongoc_read_concern_destroy>>
                copy{mongoc_read_concern_copy(concern)};
            mongoc_read_concern_append(copy.get(), members.get());
        }
        read_members_ = bytes_of(*members.get());
    }
#ifndef MONGOC_ENABLE_SSL
    if (tls_) {
        throw core::error(core::errc::unsupported,
                          "rec_services." + connection_ +
                              ": this mongo-c-driver was built without TLS",
                          {.origin = core::error_origin::mongodb});
    }
#endif
    if (tls_) {
        mongoc_uri_set_option_as_bool(uri_.get(), MONGOC_URI_TLS, true);
    }
    const auto timeout =
        static_cast<std::int32_t>(std::clamp<std::int64_t>(connect_timeout_.count(), 1, 3'600'000));
    mongoc_uri_set_option_as_int32(uri_.get(), MONGOC_URI_CONNECTTIMEOUTMS, timeout);
    mongoc_uri_set_option_as_int32(uri_.get(), MONGOC_URI_SERVERSELECTIONTIMEOUTMS, timeout);
    mongoc_uri_set_option_as_bool(uri_.get(), MONGOC_URI_SERVERSELECTIONTRYONCE, true);
    // The unit of work decides what is sent again, never the driver.
    mongoc_uri_set_option_as_bool(uri_.get(), MONGOC_URI_RETRYREADS, false);
    mongoc_uri_set_option_as_bool(uri_.get(), MONGOC_URI_RETRYWRITES, false);
}

service::~service() {
    if (own_memory_file_ >= 0) {
        ::close(own_memory_file_);
    }
}

uri_handle service::uri(const std::string& session_name) const {
    uri_handle copy{mongoc_uri_copy(uri_.get())};
    const auto name = session_name.substr(0, longest_application_name);
    if (!name.empty()) {
        mongoc_uri_set_appname(copy.get(), name.c_str());
    }
    return copy;
}

bool service::is_news(const std::string& what) const {
    const std::lock_guard lock{said_mutex_};
    return said_.insert(what).second;
}

mongoc_ssl_opt_t service::tls_options() const {
    mongoc_ssl_opt_t options{};
    options.ca_file = ca_file_.empty() ? nullptr : ca_file_.c_str();
    options.pem_file = own_file_.empty() ? nullptr : own_file_.c_str();
    options.pem_pwd = own_password_.empty() ? nullptr : own_password_.c_str();
    options.weak_cert_validation = !verify_;
    options.allow_invalid_hostname = !verify_;
    return options;
}

} // namespace beds::adapters::mongodb
