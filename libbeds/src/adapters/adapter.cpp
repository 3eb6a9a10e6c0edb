#include <beds/adapters/adapter.hpp>

namespace beds::adapters {

std::vector<std::string> adapter::objects(session& /*connected*/, core::deadline /*until*/) {
    throw core::error(core::errc::unsupported, std::string{engine_name()} + " lists no objects");
}

surveyed adapter::survey(session& /*connected*/, std::string_view /*object*/,
                         core::deadline /*until*/) {
    throw core::error(core::errc::unsupported,
                      "no template can be made from what " + std::string{engine_name()} + " holds");
}

std::optional<surveyed_procedure> adapter::survey_procedure(session& /*connected*/,
                                                            std::string_view /*name*/,
                                                            core::deadline /*until*/) {
    return std::nullopt;
}

explanation adapter::explain(session& /*connected*/, const bound_operation& /*op*/,
                             core::deadline /*until*/) {
    throw core::error(core::errc::unsupported, std::string{engine_name()} + " explains nothing");
}

} // namespace beds::adapters
