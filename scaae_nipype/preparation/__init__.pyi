from .prepare import prepare_run as prepare_run
from .prepared import PreparedFiles as PreparedFiles
from .prepared import PreparedRun as PreparedRun
from .prepared import read_prepared as read_prepared
from .prepared import write_prepared as write_prepared
from .strategies import STRATEGIES as STRATEGIES
from .strategies import read_strategy as read_strategy
from .strategies import strategy_names as strategy_names
