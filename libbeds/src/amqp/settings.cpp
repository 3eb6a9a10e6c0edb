#include <beds/amqp/settings.hpp>
#include <beds/core/error.hpp>

#include <charconv>
#include <limits>
#include <optional>

namespace beds::amqp {

std::vector<setting_problem> validate(const connection_settings& settings) {
    std::vector<setting_problem> problems;
    const auto expect = [&](bool fine, const char* key, const char* expected) {
        if (!fine) {
            problems.push_back({key, expected});
        }
    };
    const auto has_nul = [](const std::string& text) {
        return text.find('\0') != std::string::npos;
    };
    using namespace std::chrono_literals;
    expect(!settings.host.empty() && !has_nul(settings.host), "host",
           "expected a host name or address");
    expect(settings.vhost.size() <= 255 && !has_nul(settings.vhost), "vhost",
           "expected at most 255 bytes without NUL");
    expect(!settings.user.empty() && !has_nul(settings.user), "user", "expected a user name");
    expect(!has_nul(settings.password.reveal()), "password", "expected a text without NUL");
    expect(settings.heartbeat >= 1s && settings.heartbeat <= 1h, "heartbeat", "expected 1 s … 1 h");
    expect(settings.connect_timeout > 0ms, "connect_timeout", "expected more than 0");
    expect(settings.write_timeout > 0ms && settings.write_timeout <= 1h, "write_timeout",
           "expected more than 0, at most 1 h");
    expect(settings.frame_max >= 4096 && settings.frame_max <= 131072, "frame_max",
           "expected 4096 … 131072");
    expect(settings.tls.cert_file.empty() == settings.tls.key_file.empty(),
           settings.tls.cert_file.empty() ? "tls.cert_file" : "tls.key_file",
           "expected together with the other of cert_file and key_file");
    if (settings.tls.mode == tls_mode::off) {
        expect(settings.tls.ca_file.empty() && settings.tls.cert_file.empty(), "tls.mode",
               "expected on, because certificates are given");
    }
    return problems;
}

namespace {

[[noreturn]] void refuse(const std::string& what) {
    throw core::error{core::errc::invalid_configuration, "AMQP URI: " + what};
}

std::optional<unsigned> hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return static_cast<unsigned>(digit - '0');
    }
    if (digit >= 'a' && digit <= 'f') {
        return static_cast<unsigned>(digit - 'a') + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return static_cast<unsigned>(digit - 'A') + 10;
    }
    return std::nullopt;
}

std::string percent_decoded(std::string_view text, const char* part) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
        const auto low = high ? hex_digit(text[i + 2]) : std::nullopt;
        if (!low) {
            refuse(std::string{part} + ": '%' without two hexadecimal digits");
        }
        decoded += static_cast<char>(*high * 16 + *low);
        i += 2;
    }
    return decoded;
}

template <class Number>
Number number(std::string_view text, const char* part) {
    Number value{};
    const char* end = text.data() + text.size();
    const auto [rest, failed] = std::from_chars(text.data(), end, value);
    if (text.empty() || failed != std::errc{} || rest != end) {
        refuse(std::string{part} + ": expected a number up to " +
               std::to_string(std::numeric_limits<Number>::max()));
    }
    return value;
}

/// The part before `separator`; `rest` keeps what follows, or nothing.
std::string_view cut(std::string_view& rest, char separator) {
    const auto at = rest.find(separator);
    const auto front = rest.substr(0, at);
    rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
    return front;
}

void apply_parameter(connection_settings& settings, std::string_view name, std::string_view value) {
    if (name == "heartbeat") {
        settings.heartbeat = std::chrono::seconds{number<std::uint16_t>(value, "heartbeat")};
    } else if (name == "connection_timeout") {
        settings.connect_timeout =
            std::chrono::milliseconds{number<std::uint32_t>(value, "connection_timeout")};
    } else if (name == "frame_max") {
        settings.frame_max = number<std::uint32_t>(value, "frame_max");
    } else if (name == "cacertfile") {
        settings.tls.ca_file = percent_decoded(value, "cacertfile");
    } else if (name == "certfile") {
        settings.tls.cert_file = percent_decoded(value, "certfile");
    } else if (name == "keyfile") {
        settings.tls.key_file = percent_decoded(value, "keyfile");
    } else {
        refuse(
            "unknown parameter '" + std::string{name} +
            "' (known: heartbeat, connection_timeout, frame_max, cacertfile, certfile, keyfile)");
    }
}

} // namespace

connection_settings parse_amqp_uri(std::string_view uri) {
    connection_settings settings;
    const auto scheme_end = uri.find("://");
    const auto scheme = uri.substr(0, scheme_end);
    if (scheme_end == std::string_view::npos || (scheme != "amqp" && scheme != "amqps")) {
        refuse("expected amqp://… or amqps://…");
    }
    if (scheme == "amqps") {
        settings.tls.mode = tls_mode::on;
    }
    auto rest = uri.substr(scheme_end + 3);

    auto query = rest;
    rest = cut(query, '?');
    const auto slash = rest.find('/');
    auto authority = rest.substr(0, slash);
    if (slash != std::string_view::npos) {
        const auto path = rest.substr(slash + 1);
        if (path.find('/') != std::string_view::npos) {
            refuse("vhost: a '/' in its name is written %2F");
        }
        settings.vhost = percent_decoded(path, "vhost");
    }
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        auto login = authority.substr(0, at);
        authority.remove_prefix(at + 1);
        const bool has_password = login.find(':') != std::string_view::npos;
        settings.user = percent_decoded(cut(login, ':'), "user");
        if (has_password) {
            settings.password = core::secret{percent_decoded(login, "password")};
        }
    }
    if (!authority.empty() && authority.front() == '[') { // IPv6
        const auto end = authority.find(']');
        if (end == std::string_view::npos) {
            refuse("host: '[' without ']'");
        }
        settings.host = std::string{authority.substr(1, end - 1)};
        authority.remove_prefix(end + 1);
        if (!authority.empty() && authority.front() != ':') {
            refuse("port: expected ':' after ']'");
        }
        cut(authority, ':');
    } else if (const auto host = cut(authority, ':'); !host.empty()) {
        settings.host = percent_decoded(host, "host");
    }
    if (!authority.empty()) {
        settings.port = number<std::uint16_t>(authority, "port");
    }
    while (!query.empty()) {
        auto value = cut(query, '&');
        const auto name = cut(value, '=');
        apply_parameter(settings, name, value);
    }
    if (const auto problems = validate(settings); !problems.empty()) {
        refuse(problems.front().key + ": " + problems.front().expected);
    }
    return settings;
}

} // namespace beds::amqp
