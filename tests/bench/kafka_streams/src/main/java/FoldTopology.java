import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.IOException;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The Kafka Streams contestant: a processor over two RocksDB stores, exactly once. It says `begin` at the first event; that all is
 * committed is seen from outside, by its group's offsets; a line on standard input asks for the dump and ends it.
 */
public final class FoldTopology {
  private static final String[] RANKED = {"scheduled", "queued", "ringing", "in-progress", "forwarding", "ended"};
  private static final Map<String, Integer> BECOMES = Map.of(
      "CallScheduled.v1", 0, "CallQueued.v1", 1, "CallRinging.v1", 2, "CallStarted.v1", 3, "CallForwarded.v1", 4, "CallEnded.v1", 5);
  private static final int[] COUNTED_AS = {0, 1, 2, 2, 2, 3};
  private static final int COUNTERS = 5;
  private static final String CREATED = "CampaignCreated.v1";

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Data(String endedReason) {}

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Event(String type, String subject, String callid, Data data) {}

  record Call(int rank, String reason) {}

  static final class Fold implements Processor<String, Event, Void, Void> {
    private static final AtomicBoolean BEGAN = new AtomicBoolean();
    private KeyValueStore<String, Call> calls;
    private KeyValueStore<String, int[]> campaigns;

    @Override
    public void init(ProcessorContext<Void, Void> context) {
      calls = context.getStateStore("calls");
      campaigns = context.getStateStore("campaigns");
    }

    @Override
    public void process(Record<String, Event> message) {
      if (BEGAN.compareAndSet(false, true)) {
        System.out.println("begin");
      }
      Event event = message.value();
      Integer rank = BECOMES.get(event.type());
      if (rank != null) {
        move(event, rank);
      } else if (event.type().equals(CREATED)) {
        campaigns.putIfAbsent(event.subject(), new int[COUNTERS]);
      }
    }

    private void move(Event event, int rank) {
      Call before = calls.get(event.callid());
      if (before != null && before.rank() >= rank) {
        return;
      }
      String reason = event.data().endedReason() == null ? "" : event.data().endedReason();
      int[] counters = campaigns.get(event.subject()).clone();
      if (before != null) {
        counters[COUNTED_AS[before.rank()]]--;
      }
      counters[COUNTED_AS[rank]]++;
      if (reason.equals("voicemail")) {
        counters[4]++;
      }
      campaigns.put(event.subject(), counters);
      calls.put(event.callid(), new Call(rank, reason));
    }
  }

  public static void main(String[] words) throws Exception {
    Map<String, String> task = new HashMap<>();
    for (int i = 0; i < words.length; i += 2) {
      task.put(words[i], words[i + 1]);
    }
    Path directory = Path.of(task.get("--directory"));
    KafkaStreams streams = new KafkaStreams(topology(task.get("--topic")), settings(task, directory));
    streams.start();
    new BufferedReader(new InputStreamReader(System.in)).readLine();
    dump(streams, directory.resolve("dump"));
    Runtime.getRuntime().halt(0);
  }

  private static Properties settings(Map<String, String> task, Path directory) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, task.get("--group"));
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.get("--servers"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, directory.resolve("state").toString());
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Runtime.getRuntime().availableProcessors());
    // for throughput: transactions of a second instead of the default 100 ms, and a cache that spares most writes in between
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 128L * 1024 * 1024);
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 * 1024);
    return settings;
  }

  private static Topology topology(String topic) {
    StoreBuilder<?> calls = Stores.keyValueStoreBuilder(
        Stores.persistentKeyValueStore("calls"), Serdes.String(), serde(FoldTopology::write, FoldTopology::readCall)).withCachingEnabled();
    StoreBuilder<?> campaigns = Stores.keyValueStoreBuilder(
        Stores.persistentKeyValueStore("campaigns"), Serdes.String(), serde(FoldTopology::write, FoldTopology::readCounters))
        .withCachingEnabled();
    ObjectReader events = new ObjectMapper().readerFor(Event.class);
    Deserializer<Event> decoding = (name, bytes) -> {
      try {
        return events.readValue(bytes);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    };
    ProcessorSupplier<String, Event, Void, Void> fold = new ProcessorSupplier<>() {
      @Override
      public Processor<String, Event, Void, Void> get() {
        return new Fold();
      }

      @Override
      public Set<StoreBuilder<?>> stores() {
        return Set.of(calls, campaigns);
      }
    };
    return new Topology().addSource("events", Serdes.String().deserializer(), decoding, topic).addProcessor("fold", fold, "events");
  }

  private static <T> Serde<T> serde(java.util.function.Function<T, byte[]> write, java.util.function.Function<byte[], T> read) {
    Serializer<T> serializer = (name, value) -> value == null ? null : write.apply(value);
    Deserializer<T> deserializer = (name, bytes) -> bytes == null ? null : read.apply(bytes);
    return Serdes.serdeFrom(serializer, deserializer);
  }

  private static byte[] write(Call call) {
    byte[] reason = call.reason().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(1 + reason.length).put((byte) call.rank()).put(reason).array();
  }

  private static Call readCall(byte[] bytes) {
    return new Call(bytes[0], new String(bytes, 1, bytes.length - 1, StandardCharsets.UTF_8));
  }

  private static byte[] write(int[] counters) {
    ByteBuffer buffer = ByteBuffer.allocate(COUNTERS * Integer.BYTES);
    buffer.asIntBuffer().put(counters);
    return buffer.array();
  }

  private static int[] readCounters(byte[] bytes) {
    int[] counters = new int[COUNTERS];
    ByteBuffer.wrap(bytes).asIntBuffer().get(counters);
    return counters;
  }

  private static void dump(KafkaStreams streams, Path path) throws IOException {
    ReadOnlyKeyValueStore<String, Call> calls =
        streams.store(StoreQueryParameters.fromNameAndType("calls", QueryableStoreTypes.keyValueStore()));
    ReadOnlyKeyValueStore<String, int[]> campaigns =
        streams.store(StoreQueryParameters.fromNameAndType("campaigns", QueryableStoreTypes.keyValueStore()));
    try (Writer file = Files.newBufferedWriter(path);
        KeyValueIterator<String, Call> allCalls = calls.all();
        KeyValueIterator<String, int[]> allCampaigns = campaigns.all()) {
      while (allCalls.hasNext()) {
        var call = allCalls.next();
        file.write(call.key + "\t" + RANKED[call.value.rank()] + "\t" + call.value.reason() + "\n");
      }
      while (allCampaigns.hasNext()) {
        var campaign = allCampaigns.next();
        file.write(campaign.key);
        for (int counter : campaign.value) {
          file.write("\t" + counter);
        }
        file.write("\n");
      }
    }
  }

  private FoldTopology() {}
}
