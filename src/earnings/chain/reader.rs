//! Reads the chain from one node: connects, makes sure that it is the right chain, and asks for every
//! fact as of the newest final block, by the metadata that the chain has at that block.

use std::sync::Arc;
use std::time::Duration;

use subxt::backend::LegacyBackend;
use subxt::client::{OnlineClientAtBlock, OnlineClientAtBlockImpl};
use subxt::config::RpcConfigFor;
use subxt::dynamic::{At, Value};
use subxt::error::StorageError;
use subxt::ext::jsonrpsee::client_transport::ws::WsTransportClientBuilder;
use subxt::ext::jsonrpsee::core::client::Client;
use subxt::rpcs::{LegacyRpcMethods, RpcClient};
use subxt::storage::StorageClient;
use subxt::{OnlineClient, SubstrateConfig};

use super::address::{Account, BlockHash, BlockRef, Endpoint, Place};
use super::error::ChainError;
use super::reading::{Asked, Fact, Pool, Reading, Registration, Seen, Unknown};
use super::stored::{share, whole};
use super::trouble::Trouble;
use crate::clock::Clock;
use crate::config::chain::ChainConstants;
use crate::earnings::{Exact, Rao};

/// The largest answer that is taken: metadata are a third of a megabyte, and hex doubles them.
const MAX_ANSWER_BYTES: u32 = 16 << 20;
/// The most hotkeys that one coldkey's stake is looked for on.
const MOST_HOTKEYS: usize = 64;
/// What an incentive of all is written as.
const WHOLE_INCENTIVE: u64 = 65_535;

/// The pallet of the subnets.
const SUBNETS: &str = "SubtensorModule";

type Methods = LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>;
type Block = OnlineClientAtBlock<SubstrateConfig>;
type Storage<'a> = StorageClient<'a, SubstrateConfig, OnlineClientAtBlockImpl<SubstrateConfig>>;

/// Reads one chain from one node. It keeps the chain's metadata from reading to reading for as long as
/// the runtime stays the same.
#[derive(Debug)]
pub struct Reader {
    endpoint: Endpoint,
    place: Place,
    limit: Duration,
    clock: Clock,
    config: SubstrateConfig,
}

impl Reader {
    /// A reader of `place` by the node at `endpoint`. Nothing is asked yet.
    pub fn new(endpoint: Endpoint, place: Place, constants: &ChainConstants, clock: Clock) -> Self {
        // Compared before anything is asked; it need not be asked for again.
        let config = SubstrateConfig::builder().set_genesis_hash(place.genesis.0.into()).build();
        Self { endpoint, place, limit: constants.limit, clock, config }
    }

    /// Which node it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Which chain and subnet it reads.
    pub fn place(&self) -> Place {
        self.place
    }

    /// One reading. `earlier` are blocks of earlier ones, oldest first: those that are not on the chain
    /// any more are named in the answer.
    ///
    /// # Errors
    /// Why there is no reading. A fact that the chain does not have is no error but unknown.
    pub async fn read(&self, asked: &Asked, earlier: &[BlockRef]) -> Result<Seen, ChainError> {
        let slow = |_| ChainError::Slow { endpoint: self.endpoint.to_string(), limit: self.limit };
        self.clock.timeout(self.limit, self.look(asked, earlier)).await.map_err(slow)?
    }

    async fn look(&self, asked: &Asked, earlier: &[BlockRef]) -> Result<Seen, ChainError> {
        let trouble = Trouble::new(&self.endpoint, self.limit);
        let rpc = self.connect(&trouble).await?;
        let methods = Methods::new(rpc.clone());
        let rpc_failed = |error| trouble.of_rpc(&error);

        // No address is told before this is certain.
        let found = methods.chain_get_block_hash(Some(0_u64.into())).await.map_err(rpc_failed)?;
        let none = || trouble.not_a_node(&"it knows no first block");
        let found = BlockHash(found.ok_or_else(none)?.0);
        if found != self.place.genesis {
            let (endpoint, expected) = (self.endpoint.to_string(), self.place.genesis);
            return Err(ChainError::WrongChain { endpoint, expected, found });
        }

        let hash = methods.chain_get_finalized_head().await.map_err(rpc_failed)?;
        let header = methods.chain_get_header(Some(hash)).await.map_err(rpc_failed)?;
        let none = || trouble.not_a_node(&"it does not know its own last block");
        let number = header.ok_or_else(none)?.number;
        let block = BlockRef { number, hash: BlockHash(hash.0) };
        let gone = self.gone(&methods, &trouble, earlier, block).await?;

        let backend = Arc::new(LegacyBackend::builder().build(rpc));
        let client = OnlineClient::from_backend_with_config(self.config.clone(), backend).await;
        let client = client.map_err(|error| trouble.of_metadata(&error))?;
        let at = match client.at_block_hash_and_number(hash, number).await {
            Ok(at) => at,
            Err(error) => {
                // It does not say whether the line ended or the answer was wrong: the line says.
                methods.chain_get_finalized_head().await.map_err(rpc_failed)?;
                return Err(trouble.of_metadata(&error));
            }
        };
        let facts = Facts { place: self.place, asked: *asked, at: &at, trouble: &trouble };
        let reading = facts.read(block, self.clock.unix().as_secs()).await?;
        Ok(Seen { reading, gone })
    }

    async fn connect(&self, trouble: &Trouble<'_>) -> Result<RpcClient, ChainError> {
        let url = self.endpoint.url();
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        // The transport looks names up in a way that cannot be given up, so this one is known first.
        let found = tokio::net::lookup_host((host, port)).await;
        if let Err(error) = found {
            return Err(trouble.unreachable(&error));
        }
        let transport = WsTransportClientBuilder::default()
            .connection_timeout(self.limit)
            .max_response_size(MAX_ANSWER_BYTES)
            // To nobody else than the node that was named.
            .max_redirections(1);
        let built = transport.build(url.clone()).await;
        let (sender, receiver) = built.map_err(|error| trouble.of_handshake(error))?;
        let client = Client::builder().request_timeout(self.limit);
        Ok(RpcClient::new(client.build_with_tokio(sender, receiver)))
    }

    /// Which of the earlier blocks the node does not have on its chain any more.
    async fn gone(
        &self,
        methods: &Methods,
        trouble: &Trouble<'_>,
        earlier: &[BlockRef],
        head: BlockRef,
    ) -> Result<Vec<BlockRef>, ChainError> {
        for (index, known) in earlier.iter().enumerate() {
            if known.number > head.number {
                break;
            }
            let hash = methods.chain_get_block_hash(Some(known.number.into())).await;
            let hash = hash.map_err(|error| trouble.of_rpc(&error))?;
            if hash.is_none_or(|hash| hash.0 != known.hash.0) {
                // All that was built on it went with it.
                return Ok(earlier[index..].to_vec());
            }
        }
        match earlier.last() {
            Some(known) if known.number > head.number => Err(ChainError::Backwards {
                endpoint: self.endpoint.to_string(),
                block: head.number,
                known: known.number,
            }),
            _ => Ok(Vec::new()),
        }
    }
}

/// The questions of one reading.
struct Facts<'a> {
    place: Place,
    asked: Asked,
    at: &'a Block,
    trouble: &'a Trouble<'a>,
}

impl Facts<'_> {
    async fn read(&self, block: BlockRef, read_at: u64) -> Result<Reading, ChainError> {
        let netuid = || vec![number(self.place.netuid.into())];
        let rao = |value: Fact<u64>| value.map(Rao);
        let (now, tempo, burn, tao, alpha, given_out, immunity) = tokio::try_join!(
            self.number("Timestamp", "Now", Vec::new()),
            self.number(SUBNETS, "Tempo", netuid()),
            self.number(SUBNETS, "Burn", netuid()),
            self.number(SUBNETS, "SubnetTAO", netuid()),
            self.number(SUBNETS, "SubnetAlphaIn", netuid()),
            self.number(SUBNETS, "SubnetAlphaOutEmission", netuid()),
            self.number(SUBNETS, "ImmunityPeriod", netuid()),
        )?;
        let (registration, owner, free, staked_on) =
            tokio::try_join!(self.registration(), self.owner(), self.free(), self.staked_on())?;
        let (hotkey_alpha, stake, coldkey_alpha) = tokio::try_join!(
            self.hotkey_alpha(self.hotkey()),
            self.stake(self.hotkey()),
            self.coldkey_alpha(&staked_on),
        )?;
        let uid = match &registration {
            Fact::Known(Registration::Registered { uid }) => Fact::Known(u64::from(*uid)),
            Fact::Known(Registration::NotRegistered) => Fact::Unknown(Unknown::NotRegistered),
            Fact::Unknown(why) => Fact::Unknown(why.clone()),
        };
        let (since, incentive, emission) = tokio::try_join!(
            self.since(&uid),
            self.of_uid("Incentive", &uid),
            self.of_uid("Emission", &uid),
        )?;
        let left = |since: u64, period: u64| {
            Fact::Known(since.saturating_add(period).saturating_sub(block.number))
        };
        let share = |part| Exact::ratio(part, WHOLE_INCENTIVE).unwrap_or_else(Exact::zero);
        Ok(Reading {
            place: self.place,
            asked: self.asked,
            block,
            runtime: self.at.spec_version(),
            block_time: now.map(|milliseconds| milliseconds / 1000),
            read_at,
            registration,
            owner,
            immunity_left: since.with(immunity, left),
            incentive: incentive.map(share),
            emission: rao(emission),
            hotkey_alpha: rao(hotkey_alpha),
            stake,
            coldkey_alpha,
            free: rao(free),
            pool: tao
                .with(alpha, |tao, alpha| Fact::Known(Pool { tao: Rao(tao), alpha: Rao(alpha) })),
            burn: rao(burn),
            tempo,
            subnet_emission: rao(given_out),
        })
    }

    fn hotkey(&self) -> Result<Account, Unknown> {
        self.asked.hotkey.ok_or(Unknown::NotAsked { what: "hotkey".to_owned() })
    }

    fn coldkey(&self) -> Result<Account, Unknown> {
        self.asked.coldkey.ok_or(Unknown::NotAsked { what: "coldkey".to_owned() })
    }

    async fn registration(&self) -> Result<Fact<Registration>, ChainError> {
        let hotkey = match self.hotkey() {
            Ok(hotkey) => hotkey,
            Err(why) => return Ok(Fact::Unknown(why)),
        };
        let keys = vec![number(self.place.netuid.into()), account(hotkey)];
        let uid = self.stored(SUBNETS, "Uids", keys).await?;
        if let Fact::Unknown(Unknown::Absent { .. }) = uid {
            return Ok(Fact::Known(Registration::NotRegistered));
        }
        Ok(read_as(SUBNETS, "Uids", uid, |value| {
            let uid = u16::try_from(whole(value)?).ok()?;
            Some(Registration::Registered { uid })
        }))
    }

    async fn owner(&self) -> Result<Fact<Account>, ChainError> {
        let hotkey = match self.hotkey() {
            Ok(hotkey) => hotkey,
            Err(why) => return Ok(Fact::Unknown(why)),
        };
        let owner = self.stored(SUBNETS, "Owner", vec![account(hotkey)]).await?;
        let owner = read_as(SUBNETS, "Owner", owner, bytes);
        // An owner of zeros is the chain's way of saying nobody.
        Ok(match owner {
            Fact::Known(Account([0, rest @ ..])) if rest == [0; 31] => {
                Fact::Unknown(Unknown::Absent { storage: named(SUBNETS, "Owner") })
            }
            other => other,
        })
    }

    async fn hotkey_alpha(
        &self,
        hotkey: Result<Account, Unknown>,
    ) -> Result<Fact<u64>, ChainError> {
        match hotkey {
            Ok(hotkey) => {
                let keys = vec![account(hotkey), number(self.place.netuid.into())];
                self.number(SUBNETS, "TotalHotkeyAlpha", keys).await
            }
            Err(why) => Ok(Fact::Unknown(why)),
        }
    }

    /// What the coldkey has on a hotkey.
    async fn stake(&self, hotkey: Result<Account, Unknown>) -> Result<Fact<Rao>, ChainError> {
        let (hotkey, coldkey) = match (hotkey, self.coldkey()) {
            (Ok(hotkey), Ok(coldkey)) => (hotkey, coldkey),
            (Err(why), _) | (_, Err(why)) => return Ok(Fact::Unknown(why)),
        };
        let netuid = number(self.place.netuid.into());
        let of_both = vec![account(hotkey), account(coldkey), netuid.clone()];
        let of_hotkey = vec![account(hotkey), netuid];
        let (part, whole, alpha) = tokio::try_join!(
            self.shares("Alpha", "AlphaV2", of_both),
            self.shares("TotalHotkeyShares", "TotalHotkeySharesV2", of_hotkey),
            self.hotkey_alpha(Ok(hotkey)),
        )?;
        let shares = part.with(whole, |part, whole| Fact::Known((part, whole)));
        Ok(shares.with(alpha, |(part, whole), alpha| {
            let share = part.over(&whole).unwrap_or_else(Exact::zero);
            // More than all of it only a broken node would say.
            let rao = Rao(alpha).part(&share).filter(|rao| rao.0 <= alpha);
            rao.map_or_else(|| undecodable(SUBNETS, "Alpha"), Fact::Known)
        }))
    }

    /// The hotkeys on which the coldkey may have something.
    async fn staked_on(&self) -> Result<Fact<Vec<Account>>, ChainError> {
        let coldkey = match self.coldkey() {
            Ok(coldkey) => coldkey,
            Err(why) => return Ok(Fact::Unknown(why)),
        };
        let list = self.stored(SUBNETS, "StakingHotkeys", vec![account(coldkey)]).await?;
        let list = read_as(SUBNETS, "StakingHotkeys", list, |list| {
            let items = (0..).map_while(|index| list.at(index));
            items.map(bytes).collect::<Option<Vec<_>>>()
        });
        Ok(list.map(|mut all| {
            all.extend(self.asked.hotkey.filter(|hotkey| !all.contains(hotkey)));
            all
        }))
    }

    async fn coldkey_alpha(&self, hotkeys: &Fact<Vec<Account>>) -> Result<Fact<Rao>, ChainError> {
        let hotkeys = match hotkeys {
            Fact::Known(hotkeys) => hotkeys,
            Fact::Unknown(why) => return Ok(Fact::Unknown(why.clone())),
        };
        if hotkeys.len() > MOST_HOTKEYS {
            let storage = named(SUBNETS, "StakingHotkeys");
            return Ok(Fact::Unknown(Unknown::TooMany { storage }));
        }
        let parts = hotkeys.iter().map(|hotkey| self.stake(Ok(*hotkey)));
        let parts = futures::future::try_join_all(parts).await?;
        Ok(parts.into_iter().fold(Fact::Known(Rao::ZERO), |sum, part| {
            sum.with(part, |sum, part| {
                sum.plus(part).map_or_else(|| undecodable(SUBNETS, "Alpha"), Fact::Known)
            })
        }))
    }

    /// Shares as the chain keeps them: entries move from the `older` storage to the `newer` one when
    /// they are next written, and are in one of the two. Either may be missing from the metadata.
    async fn shares(
        &self,
        older: &'static str,
        newer: &'static str,
        keys: Vec<Value>,
    ) -> Result<Fact<Exact>, ChainError> {
        let first = self.stored(SUBNETS, older, keys.clone()).await?;
        let first = read_as(SUBNETS, older, first, share);
        if first.known().is_some_and(|share| !share.is_zero()) {
            return Ok(first);
        }
        let second = self.stored(SUBNETS, newer, keys).await?;
        let second = read_as(SUBNETS, newer, second, share);
        Ok(match (first, second) {
            (first, Fact::Unknown(Unknown::NotInMetadata { .. })) => first,
            (Fact::Unknown(why @ Unknown::Undecodable { .. }), _) => Fact::Unknown(why),
            (_, second) => second,
        })
    }

    async fn free(&self) -> Result<Fact<u64>, ChainError> {
        let coldkey = match self.coldkey() {
            Ok(coldkey) => coldkey,
            Err(why) => return Ok(Fact::Unknown(why)),
        };
        let held = self.stored("System", "Account", vec![account(coldkey)]).await?;
        Ok(read_as("System", "Account", held, |value| whole(value.at("data").at("free")?)))
    }

    async fn since(&self, uid: &Fact<u64>) -> Result<Fact<u64>, ChainError> {
        match uid {
            Fact::Known(uid) => {
                let keys = vec![number(self.place.netuid.into()), number(*uid)];
                self.number(SUBNETS, "BlockAtRegistration", keys).await
            }
            Fact::Unknown(why) => Ok(Fact::Unknown(why.clone())),
        }
    }

    /// The entry of `uid` in a list with one for each; nothing yet for one that is not in the list.
    async fn of_uid(&self, entry: &'static str, uid: &Fact<u64>) -> Result<Fact<u64>, ChainError> {
        let uid = match uid {
            Fact::Known(uid) => usize::try_from(*uid).unwrap_or(usize::MAX),
            Fact::Unknown(why) => return Ok(Fact::Unknown(why.clone())),
        };
        let list = self.stored(SUBNETS, entry, vec![number(self.place.netuid.into())]).await?;
        Ok(read_as(SUBNETS, entry, list, |list| match list.at(uid) {
            Some(value) => whole(value),
            None => list.as_u128().is_none().then_some(0),
        }))
    }

    async fn number(
        &self,
        pallet: &'static str,
        entry: &'static str,
        keys: Vec<Value>,
    ) -> Result<Fact<u64>, ChainError> {
        Ok(read_as(pallet, entry, self.stored(pallet, entry, keys).await?, whole))
    }

    async fn stored(
        &self,
        pallet: &'static str,
        entry: &'static str,
        keys: Vec<Value>,
    ) -> Result<Fact<Value>, ChainError> {
        let storage: Storage<'_> = self.at.storage();
        let address = subxt::dynamic::storage::<Vec<Value>, Value>(pallet, entry);
        let Ok(place) = storage.entry(address) else {
            return Ok(Fact::Unknown(Unknown::NotInMetadata { storage: named(pallet, entry) }));
        };
        match place.try_fetch(keys).await {
            Ok(Some(value)) => Ok(match value.decode() {
                Ok(value) => Fact::Known(value),
                Err(_) => undecodable(pallet, entry),
            }),
            Ok(None) => Ok(Fact::Unknown(Unknown::Absent { storage: named(pallet, entry) })),
            Err(StorageError::CannotFetchValue(error)) => Err(self.trouble.of_backend(&error)),
            // Its keys have another form than they had.
            Err(_) => Ok(undecodable(pallet, entry)),
        }
    }
}

fn read_as<T>(
    pallet: &str,
    entry: &str,
    value: Fact<Value>,
    of: impl FnOnce(&Value) -> Option<T>,
) -> Fact<T> {
    match value {
        Fact::Known(value) => of(&value).map_or_else(|| undecodable(pallet, entry), Fact::Known),
        Fact::Unknown(why) => Fact::Unknown(why),
    }
}

fn undecodable<T>(pallet: &str, entry: &str) -> Fact<T> {
    Fact::Unknown(Unknown::Undecodable { storage: named(pallet, entry) })
}

fn named(pallet: &str, entry: &str) -> String {
    format!("{pallet}.{entry}")
}

fn number(value: u64) -> Value {
    Value::u128(value.into())
}

fn account(account: Account) -> Value {
    Value::from_bytes(account.0)
}

/// An address in a value.
fn bytes(value: &Value) -> Option<Account> {
    let inner = value.at(0).filter(|inner| inner.at(0).is_some()).unwrap_or(value);
    let mut key = [0; 32];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::try_from(inner.at(index)?.as_u128()?).ok()?;
    }
    Some(Account(key))
}
