#include "log.hpp"

#include <boost/locale/utf.hpp>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#if BEDSD_WITH_SYSTEMD
// It would be this file, for every entry.
#define SD_JOURNAL_SUPPRESS_LOCATION // NOLINT(readability-identifier-naming): systemd's name
#include <systemd/sd-journal.h>

#include <sys/uio.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <memory>
#include <utility>

namespace bedsd {
namespace {

using beds::observe::level;
using beds::observe::log_record;
using beds::observe::log_sink;

level least(beds::config::log_level value) {
    switch (value) {
    case beds::config::log_level::debug:
        return level::debug;
    case beds::config::log_level::info:
        return level::info;
    case beds::config::log_level::warning:
        return level::warning;
    case beds::config::log_level::error:
        break;
    }
    return level::error;
}

spdlog::level::level_enum spdlog_level(level value) {
    switch (value) {
    case level::debug:
        return spdlog::level::debug;
    case level::info:
        return spdlog::level::info;
    case level::warning:
        return spdlog::level::warn;
    case level::error:
        break;
    }
    return spdlog::level::err;
}

/// syslog(3)'s numbers.
int priority(level value) {
    switch (value) {
    case level::debug:
        return 7;
    case level::info:
        return 6;
    case level::warning:
        return 4;
    case level::error:
        break;
    }
    return 3;
}

enum class controls : std::uint8_t { kept, escaped };

/// Texts of servers may hold any byte: what is no UTF-8 is escaped.
void append_readable(std::string& out, std::string_view text, controls how) {
    namespace utf = boost::locale::utf;
    static constexpr std::string_view digits = "0123456789abcdef";
    for (auto at = text.begin(); at != text.end();) {
        const auto from = at;
        const auto code = utf::utf_traits<char>::decode(at, text.end());
        const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
        if (utf::is_valid_codepoint(code) && !(control && how == controls::escaped)) {
            out.append(from, at);
            continue;
        }
        if (!utf::is_valid_codepoint(code)) {
            at = from + 1;
        }
        for (auto each = from; each != at; ++each) {
            const auto byte = static_cast<unsigned char>(*each);
            out += "\\x";
            out += digits[byte >> 4U];
            out += digits[byte & 0xfU];
        }
    }
}

log_sink console(level lowest) {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    auto logger = std::make_shared<spdlog::logger>("bedsd", std::move(sink));
    logger->set_level(spdlog::level::trace);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-7l%$ %v", spdlog::pattern_time_type::utc);
    logger->flush_on(spdlog::level::trace);
    return {lowest, [logger](const log_record& record) {
                logger->log(spdlog_level(record.severity), "{}", console_line(record));
            }};
}

} // namespace

std::string console_line(const log_record& record) {
    std::string line;
    append_readable(line, record.id, controls::escaped);
    line += ' ';
    append_readable(line, record.source, controls::escaped);
    line += ": ";
    append_readable(line, record.text, controls::escaped);
    return line;
}

std::vector<std::string> journal_fields(const log_record& record) {
    std::string message{"MESSAGE="};
    append_readable(message, record.text, controls::kept); // with others it is a blob to journalctl
    return {std::move(message), "PRIORITY=" + std::to_string(priority(record.severity)),
            "BEDS_ID=" + std::string{record.id}, "BEDS_SOURCE=" + std::string{record.source},
            "SYSLOG_IDENTIFIER=bedsd"};
}

log_sink make_log(const beds::config::log_settings& settings) {
    const auto lowest = least(settings.level);
    if (settings.target == beds::config::log_target::console) {
        return console(lowest);
    }
#if BEDSD_WITH_SYSTEMD
    // Without the journal's socket sd_journal_sendv drops the entry and calls it success.
    if (::access("/run/systemd/journal/socket", W_OK) == 0) {
        return {lowest, [](const log_record& record) {
                    auto fields = journal_fields(record);
                    std::vector<iovec> parts;
                    parts.reserve(fields.size());
                    for (auto& field : fields) {
                        parts.push_back({field.data(), field.size()});
                    }
                    (void)::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
                }};
    }
    constexpr std::string_view reason =
        "there is no journal on this machine; logging to the console";
#else
    constexpr std::string_view reason = "built without libsystemd; logging to the console";
#endif
    auto sink = console(lowest);
    sink.write(level::warning, "BEDSD_NO_JOURNAL", "log", reason);
    return sink;
}

} // namespace bedsd
