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

std::optional<std::vector<difference>> adapter::compare(session& /*connected*/,
                                                        const templates::template_def& /*wanted*/,
                                                        core::op_class /*highest*/,
                                                        core::deadline /*until*/) {
    return std::nullopt;
}

std::vector<difference>
adapter::compare_own(session& /*connected*/,
                     std::span<const templates::template_def* const> /*targets*/,
                     core::op_class /*highest*/, core::deadline /*until*/) {
    return {};
}

} // namespace beds::adapters
