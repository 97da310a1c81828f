#include "metrics/figures.h"

#include <gtest/gtest.h>

namespace hearth::metrics {
namespace {

Figures example() {
  Figures figures;
  figures.version = "1.2.3";
  figures.ready = true;
  figures.headline = {"warning", "model-not-on-gpu", "12 of 33 layers run on the CPU", "close chrome", "too-large"};
  figures.findings.push_back({"model-not-on-gpu", "12 of 33 layers run on the CPU", "close chrome", "too-large"});
  GpuFigures gpu;
  gpu.id = "GPU-1";
  gpu.name = "NVIDIA \"Test\"";
  gpu.ordinal = 0;
  gpu.total_bytes = 1000;
  gpu.free_bytes = 100;
  gpu.parts = {{"m", "weights", 500, 0},
               {"hearth", "context", 50, 0},
               {"chrome", "process", 200, 7},
               {"game", "process", 150, 8}};
  gpu.busy_seconds = 12.5;
  gpu.power_watts = 80.5;
  gpu.throttled = {"power limit"};
  figures.gpus.push_back(gpu);
  ModelFigures model;
  model.name = "m";
  model.layers = 33;
  model.layers_on_gpu = 21;
  model.cause_id = "too-large";
  model.tokens_generated = 1234567890123;
  model.expires_seconds = 5.5;
  model.places = {{"GPU 0 (Test)", "GPU-1", 500, 20, 30, 550, 551}};
  figures.models.push_back(model);
  figures.loading = {"other"};
  figures.stores.push_back({"own", "orange", 10, 9, 8, 7, 6, 5});
  figures.transfers.push_back({"pull", "x", "pulling 1", 100, 40});
  return figures;
}

TEST(Figures, ComeBackFromJsonAsTheyWere) {
  const Figures figures = example();
  const std::string text = to_json(figures);
  const auto read = figures_from_json(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(to_json(*read), text);
  EXPECT_EQ(read->models[0].tokens_generated, 1234567890123u);
  EXPECT_EQ(read->gpus[0].parts[2].pid, 7u);
  EXPECT_FALSE(read->gpus[0].temperature_celsius.has_value());
}

TEST(Figures, OfAnotherVersionKeepTheirDefaultsWhereSomethingIsMissing) {
  const auto read = figures_from_json(R"({"version":"9","gpus":[{"id":7,"total_bytes":5,"new":1}],"models":3})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->gpus.at(0).total_bytes, 5u);
  EXPECT_EQ(read->gpus[0].id, "");
  EXPECT_TRUE(read->models.empty());
  for (const char* wrong : {"", "[]", "{", "Ollama is running"}) EXPECT_FALSE(figures_from_json(wrong)) << wrong;
}

// The page has the history once, at the beginning of a stream.
TEST(Figures, GoOutWithTheHistoryWhereItIsAskedFor) {
  const History history{{1, 2.5}, {{"GPU-1", {0.5}}}};
  EXPECT_NE(to_json(example(), &history).find(R"("busy_ratio":{"GPU-1":[5E-1]})"), std::string::npos)
      << to_json(example(), &history);
  EXPECT_EQ(to_json(example()).find("history"), std::string::npos);
}

TEST(Figures, AreSeriesForPrometheus) {
  Page page;
  add_to(page, example());
  const std::string text = page.text();
  for (const char* line : {
           "hearth_ready 1\n",
           "hearth_findings{id=\"model-not-on-gpu\"} 1\n",
           "hearth_gpu_info{gpu=\"0\",name=\"NVIDIA \\\"Test\\\"\",uuid=\"GPU-1\"} 1\n",
           "hearth_gpu_memory_bytes{gpu=\"0\",part=\"weights\",model=\"m\"} 500\n",
           "hearth_gpu_memory_bytes{gpu=\"0\",part=\"process\",model=\"\"} 350\n",  // together: their names are many
           "hearth_gpu_busy_seconds_total{gpu=\"0\"} 12.5\n",
           "hearth_gpu_power_watts{gpu=\"0\"} 80.5\n",
           "hearth_gpu_throttled{gpu=\"0\"} 1\n",
           "hearth_model_layers{model=\"m\",place=\"gpu\"} 21\n",
           "hearth_model_layers{model=\"m\",place=\"host\"} 12\n",
           "hearth_model_promised_bytes{model=\"m\",uuid=\"GPU-1\"} 550\n",
           "hearth_model_not_on_gpu{model=\"m\",cause=\"too-large\"} 1\n",
           "hearth_store_level{store=\"own\"} 2\n",
           "hearth_transfer_bytes{kind=\"pull\",model=\"x\",state=\"done\"} 40\n",
       })
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  EXPECT_EQ(text.find("celsius"), std::string::npos) << "what is not known is no figure";
  EXPECT_EQ(text.find("chrome"), std::string::npos);
}

TEST(Figures, HaveTheNamesByWhichGatewaysPickServers) {
  Figures figures = example();
  figures.running = 3;
  figures.waiting = 2;
  figures.models[0].pages = 40;
  figures.models[0].pages_free = 30;
  figures.models.push_back(figures.models[0]);
  figures.models[1].pages_free = 10;
  Page page;
  add_to(page, figures);
  const std::string text = page.text();
  for (const char* line : {"\nvllm:num_requests_running 3\n", "\nvllm:num_requests_waiting 2\n",
                           "\nvllm:kv_cache_usage_perc 0.5\n", "\nvllm:gpu_cache_usage_perc 0.5\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

}  // namespace
}  // namespace hearth::metrics
